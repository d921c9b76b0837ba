export { BACKENDS, onEvery, startOnEveryBackend, type Deployments } from './every-backend.js';
export { endWithTheTests } from './guardian.js';
export { startFaultyProxy, type FaultyProxy } from './faulty-proxy.js';
export { createTestDatabase, type TestDatabase } from './postgres.js';
export {
  eventually,
  Posthorn,
  startPosthorn,
  verifyWebhook,
  type Answer,
  type AttemptShown,
  type DeliveryShown,
  type EmittedShown,
  type SubscriptionShown,
} from './posthorn.js';
export { freePort } from './free-port.js';
export { build, type RunningProcess } from './processes.js';
export { startRedis, type TestRedis } from './redis.js';
export { FakeResolver, type FakeAnswer, type FakeReply } from './fake-resolver.js';
export { startFakeNameServer, type DnsReply, type FakeNameServer } from './fake-resolver-server.js';
export {
  HOSTILE_NAMES,
  startHostileReceiver,
  type HostileName,
  type HostileReceiver,
} from './hostile-receiver.js';
export {
  startReceiver,
  type ReceivedRequest,
  type Receiver,
  type ReceiverOptions,
  type Reply,
  type Respond,
} from './receiver.js';
export { EXPIRED_CERTIFICATE, LONE_CERTIFICATE, RECEIVER_CERTIFICATE } from './receiver-certificate.js';
export { createTestStore, type TestStore } from './store.js';
export { explained, planElsewhere, type ExplainedStatement, type Plan } from './explained.js';
export { fillStore, replayId, subscriptionId, TENANTS, WAITING } from './waiting-store.js';
