import { ApiKey } from './api-key.js';
import { SubscriptionSecret } from './subscription-secret.js';
import { Subscription } from './subscription.js';

/** Every entity TypeORM knows: the control plane's, and only they. */
export const controlPlaneEntities = [ApiKey, Subscription, SubscriptionSecret];
