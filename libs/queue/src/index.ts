export type { HintConsumer } from './hint-consumer.js';
export { HintQueue, type HintQueueOptions } from './hint-queue.js';
