export { ConfigError, loadConfig, retryPolicyOf, type Config, type ConfigWithoutKey } from './config.js';
export { parseEncryptionKeys, type EncryptionKey } from './encryption-keys.js';
export { LastKnown } from './last-known.js';
export { createLogger, type Logger } from './logger.js';
export { BATCH, countingLogger, LATENCY_S, Metrics, WAIT_S, type Spread, type Tally } from './metrics.js';
export { ownHosts } from './own-hosts.js';
export { SecretBox } from './secret-box.js';
export { StorageFigures, type AskedDatabase, type AskedQueue } from './storage-figures.js';
export { VERSION } from './version.js';
