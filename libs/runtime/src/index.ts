export { ConfigError, loadConfig, retryPolicyOf, type Config, type ConfigWithoutKey } from './config.js';
export { parseEncryptionKeys, type EncryptionKey } from './encryption-keys.js';
export { createLogger, type Logger } from './logger.js';
export { ownHosts } from './own-hosts.js';
export { SecretBox } from './secret-box.js';
export { VERSION } from './version.js';
