export type { HintConsumer } from './hint-consumer.js';
export { readRedisFacts } from './redis-facts.js';
export { HintQueue, type HintQueueOptions } from './hint-queue.js';
