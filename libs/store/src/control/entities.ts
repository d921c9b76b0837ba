import { ApiKey } from './api-key.js';
import { EventType } from './event-type.js';
import { SubscriptionSecret } from './subscription-secret.js';
import { Subscription } from './subscription.js';
import { Tenant } from './tenant.js';

/** Every entity TypeORM knows: the control plane's, and only they. */
export const controlPlaneEntities = [ApiKey, EventType, Subscription, SubscriptionSecret, Tenant];
