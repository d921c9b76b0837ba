export { startFaultyProxy, type FaultyProxy } from './faulty-proxy.js';
export { createTestDatabase, type TestDatabase } from './postgres.js';
export { startRedis, type TestRedis } from './redis.js';
