import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { HintQueue, type HintQueueOptions } from './index.js';

/** A real backend that can be made to fail. */
export interface BackendFixture {
  options: Pick<HintQueueOptions, 'backend' | 'redisUrl' | 'databaseUrl'>;
  /** Connections break, and none is accepted any more. */
  kill(): Promise<void>;
  revive(): Promise<void>;
  /** Connections stay open, and nothing answers. */
  freeze(): void;
  thaw(): void;
  /** Resolves when what was written into connections that are closed by now has arrived, which after a thaw is late. */
  quiet(): Promise<void>;
  /** Everything that is in it vanishes. */
  empty(): Promise<void>;
  close(): Promise<void>;
}

const CHUNK = 10;
const RECOVERED_WITHIN_MS = 15_000;

/** What `HintQueue` promises, whatever carries it. */
export function describeHintQueue(backend: string, startBackend: () => Promise<BackendFixture>): void {
  describe(`HintQueue on ${backend}`, () => {
    let fixture: BackendFixture;
    let queues: HintQueue[];
    let errors: string[];
    let broken: 'killed' | 'frozen' | undefined;

    const breakBackend = async (how: 'killed' | 'frozen') => {
      broken = how;
      if (how === 'killed') await fixture.kill();
      else fixture.freeze();
    };
    const mendBackend = async () => {
      if (broken === 'killed') await fixture.revive();
      if (broken === 'frozen') fixture.thaw();
      broken = undefined;
    };

    const open = (chunk = CHUNK) => {
      const mine = errors; // not those of the next test
      const queue = new HintQueue({
        ...fixture.options,
        chunk,
        onError: (error) => mine.push(error.message),
      });
      queues.push(queue);
      return queue;
    };
    /** Consumes into a list. */
    const collect = (queue: HintQueue, concurrency = 2) => {
      const chunks: string[][] = [];
      const consumer = queue.consume((ids) => {
        chunks.push(ids);
        return Promise.resolve();
      }, concurrency);
      return { chunks, consumer, ids: () => chunks.flat() };
    };

    beforeAll(async () => {
      fixture = await startBackend();
      const queue = new HintQueue({ ...fixture.options, chunk: CHUNK, onError: () => undefined });
      await queue.prepare();
      await queue.prepare(); // a second time changes nothing
      await queue.close();
    }, 60_000);
    afterAll(async () => fixture.close(), 60_000);
    beforeEach(async () => {
      errors = [];
      queues = [];
      await fixture.empty();
    });
    afterEach(async () => {
      await mendBackend(); // where a test failed before it did
      await Promise.all(queues.map((queue) => queue.close()));
      await fixture.quiet();
    }, 20_000);

    // First, so that what BullMQ still has to give up has done so by the end of the run.
    it.each(['killed', 'frozen'] as const)(
      'answers false within a second while the backend is %s, and recovers by itself',
      async (how) => {
        const queue = open();
        const received = collect(queue);
        expect(await queue.offer(['before'])).toBe(true);
        await until(() => received.ids().includes('before'));
        expect(queue.isReady()).toBe(true);

        await breakBackend(how);
        for (let round = 0; round < 3; round++) {
          const startedMs = performance.now();
          expect(await queue.offer(['meanwhile'])).toBe(false);
          expect(await queue.waiting()).toBeUndefined();
          expect(performance.now() - startedMs).toBeLessThan(1000);
        }
        expect(queue.isReady()).toBe(false);
        // Once it is known to be gone, nobody waits for it.
        const startedMs = performance.now();
        await Promise.all(Array.from({ length: 1000 }, () => queue.offer(['meanwhile'])));
        expect(performance.now() - startedMs).toBeLessThan(200);

        await mendBackend();
        await until(() => queue.isReady(), RECOVERED_WITHIN_MS);
        expect(await queue.offer(['after'])).toBe(true);
        await until(() => received.ids().includes('after'), RECOVERED_WITHIN_MS);
        // The same complaint a hundred times is one complaint.
        expect(errors.length).toBeGreaterThan(0);
        expect(new Set(errors).size).toBe(errors.length);
      },
      60_000,
    );

    it('can be opened while the backend is gone, and works once it is there', async () => {
      await breakBackend('killed');
      const queue = open();
      const received = collect(queue);
      const startedMs = performance.now();
      expect(await queue.offer(['meanwhile'])).toBe(false);
      expect(performance.now() - startedMs).toBeLessThan(1000);
      await until(() => !queue.isReady());
      await mendBackend();
      await until(() => queue.isReady(), RECOVERED_WITHIN_MS);
      expect(await queue.offer(['after'])).toBe(true);
      await until(() => received.ids().includes('after'), RECOVERED_WITHIN_MS);
    }, 60_000);

    it.each(['killed', 'frozen'] as const)(
      'stops and closes in time although the backend is %s',
      async (how) => {
        const queue = open();
        const received = collect(queue);
        const consumer = queue.consume(() => Promise.resolve(), 2);
        expect(await queue.offer(['before'])).toBe(true);
        await untilAsync(async () => (await queue.waiting()) === 0);
        await breakBackend(how);
        try {
          const startedMs = performance.now();
          await Promise.all([consumer.stop(300), received.consumer.stop(300)]);
          expect(performance.now() - startedMs).toBeLessThan(1500);
          await queue.close();
          expect(performance.now() - startedMs).toBeLessThan(3000);
          expect(await queue.offer(['too late'])).toBe(false);
          expect(await queue.waiting()).toBeUndefined();
        } finally {
          await mendBackend();
        }
      },
      60_000,
    );

    it('brings every offered id to a consumer', async () => {
      const queue = open();
      const received = collect(queue);
      const ids = someIds(95);
      expect(await queue.offer(ids)).toBe(true);
      // A hint may come twice: what a connection did not see answered it sends again.
      await until(() => new Set(received.ids()).size >= ids.length);
      expect([...new Set(received.ids())].sort()).toEqual([...ids].sort());
      expect(errors).toEqual([]);
    });

    it('cuts an offer into chunks of the configured size', async () => {
      const queue = open();
      const received = collect(queue);
      expect(await queue.offer(someIds(25))).toBe(true);
      await until(() => received.chunks.length === 3);
      expect(received.chunks.map((chunk) => chunk.length).sort()).toEqual([10, 10, 5]);
    });

    it('answers true to an empty offer and adds nothing', async () => {
      const queue = open();
      expect(await queue.offer([])).toBe(true);
      expect(await queue.waiting()).toBe(0);
    });

    it('takes an offer of many thousand ids', async () => {
      const queue = open(1);
      expect(await queue.offer(someIds(1200))).toBe(true);
      expect(await queue.waiting()).toBe(1200);
    });

    it('keeps what was offered before a consumer came, and counts its chunks', async () => {
      const producer = open();
      expect(await producer.offer(someIds(25))).toBe(true);
      expect(await producer.waiting()).toBe(3);
      const received = collect(open());
      await until(() => received.ids().length === 25);
      expect(await producer.waiting()).toBe(0);
    });

    it('brings ids that are offered again once more', async () => {
      const queue = open();
      const received = collect(queue);
      const ids = someIds(5);
      for (let round = 0; round < 3; round++) expect(await queue.offer(ids)).toBe(true);
      await until(() => received.chunks.length === 3);
      expect(received.chunks).toEqual([ids, ids, ids]);
    });

    it('gives each chunk to one of several consumers', async () => {
      const received = [collect(open()), collect(open())];
      const producer = open();
      const ids = someIds(200);
      expect(await producer.offer(ids)).toBe(true);
      const all = () => received.flatMap((one) => one.ids());
      await until(() => all().length >= ids.length);
      expect(all().sort()).toEqual([...ids].sort());
    });

    it('leaves hints in the backend while all handlers are busy', async () => {
      const queue = open();
      const busy: (() => void)[] = [];
      queue.consume(() => new Promise((resolve) => busy.push(resolve)), 2);
      expect(await queue.offer(someIds(60))).toBe(true);
      await until(() => busy.length === 2);
      await untilAsync(async () => (await queue.waiting()) === 4);
      expect(busy.length).toBe(2);
      busy[0]?.();
      await until(() => busy.length === 3);
      await untilAsync(async () => (await queue.waiting()) === 3);
      for (let freed = 1; freed < 6; freed++) {
        await until(() => busy.length > freed);
        busy[freed]?.();
      }
      await untilAsync(async () => (await queue.waiting()) === 0);
    });

    it('ends a chunk whose handler throws, and reports it', async () => {
      const queue = open();
      let handled = 0;
      queue.consume(() => {
        handled++;
        return Promise.reject(new Error('the handler is broken'));
      }, 1);
      expect(await queue.offer(someIds(30))).toBe(true);
      await until(() => handled === 3);
      await untilAsync(async () => (await queue.waiting()) === 0);
      expect(handled).toBe(3);
      expect(errors).toEqual(['the handler is broken']);
    });

    it('goes on when everything in the backend vanishes', async () => {
      const queue = open();
      expect(await queue.offer(someIds(50))).toBe(true);
      await fixture.empty();
      expect(await queue.waiting()).toBe(0);
      const received = collect(queue);
      expect(await queue.offer(['first'])).toBe(true);
      await until(() => received.ids().includes('first'));
      await fixture.empty(); // now with a consumer that waits
      expect(await queue.offer(['second'])).toBe(true);
      await until(() => received.ids().includes('second'));
    });

    it('waits for running handlers when it is stopped, and takes no more', async () => {
      const queue = open();
      let finish: (() => void) | undefined;
      let handled = 0;
      const consumer = queue.consume(async () => {
        handled++;
        await new Promise<void>((resolve) => (finish = resolve));
      }, 1);
      expect(await queue.offer(someIds(30))).toBe(true);
      await until(() => finish !== undefined);
      const stopped = consumer.stop();
      finish?.();
      await stopped;
      expect(handled).toBe(1);
      expect(await queue.waiting()).toBe(2);
    });

    it('stops in time although a handler does not end', async () => {
      const queue = open();
      let handled = 0;
      const consumer = queue.consume(() => {
        handled++;
        return new Promise(() => undefined);
      }, 1);
      expect(await queue.offer(someIds(30))).toBe(true);
      await until(() => handled === 1);
      const startedMs = performance.now();
      await consumer.stop(300);
      expect(performance.now() - startedMs).toBeLessThan(1500);
      expect(handled).toBe(1);
    });
  });
}

let counter = 0;
function someIds(count: number): string[] {
  return Array.from(
    { length: count },
    () => `00000000-0000-7000-8000-${String(counter++).padStart(12, '0')}`,
  );
}

async function until(condition: () => boolean, boundMs = 5000): Promise<void> {
  await untilAsync(condition, boundMs);
}

async function untilAsync(condition: () => boolean | Promise<boolean>, boundMs = 5000): Promise<void> {
  const deadlineMs = performance.now() + boundMs;
  while (!(await condition())) {
    if (performance.now() > deadlineMs) throw new Error(`not within ${boundMs} ms: ${condition.toString()}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
