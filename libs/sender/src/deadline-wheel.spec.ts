import { MessageChannel } from 'node:worker_threads';
import { describe, expect, it } from '@jest/globals';
import { DeadlineWheel, Expiring } from './deadline-wheel.js';

class Probe extends Expiring {
  readonly armedMs = performance.now();
  calls = 0;
  private tell: (afterMs: number) => void = () => undefined;
  readonly called = new Promise<number>((resolve) => (this.tell = resolve));

  constructor(private readonly act: () => void = () => undefined) {
    super();
  }

  override onDeadline(): void {
    this.calls++;
    this.act();
    this.tell(performance.now() - this.armedMs);
  }
}

function armed(wheel: DeadlineWheel, afterMs: number, act?: () => void): Probe {
  const probe = new Probe(act);
  wheel.arm(probe, afterMs);
  return probe;
}

/** The wheel's timer does not keep a process alive; something else has to. */
async function inTime<T>(work: Promise<T>): Promise<T> {
  const awake = setTimeout(() => undefined, 5_000);
  return work.finally(() => clearTimeout(awake));
}

describe('DeadlineWheel', () => {
  it('calls back never sooner than asked, and in the order of the deadlines', async () => {
    const wheel = new DeadlineWheel();
    const order: number[] = [];
    const probes = [150, 0, 70, 71, 10].map((afterMs) => ({
      afterMs,
      probe: armed(wheel, afterMs, () => order.push(afterMs)),
    }));
    for (const { afterMs, probe } of probes) {
      expect(await inTime(probe.called)).toBeGreaterThanOrEqual(afterMs);
    }
    expect(order.indexOf(150)).toBe(4);
    expect(order.indexOf(0)).toBeLessThan(order.indexOf(70));
  });

  it('does not call back what was disarmed, also by a neighbour in the same tick', async () => {
    const wheel = new DeadlineWheel();
    const doomed: Probe[] = [];
    const first = armed(wheel, 30, () => doomed.forEach((probe) => wheel.disarm(probe)));
    doomed.push(armed(wheel, 200), first);
    const early = armed(wheel, 30);
    wheel.disarm(early);
    wheel.disarm(early);
    await inTime(first.called);
    await inTime(armed(wheel, 300).called);
    expect([early.calls, doomed[0]?.calls, first.calls]).toEqual([0, 0, 1]);
  });

  it('calls back each of many exactly once, whatever is disarmed in between', async () => {
    const wheel = new DeadlineWheel();
    const probes = Array.from({ length: 5_000 }, (_, i) => armed(wheel, (i * 37) % 200));
    const kept = probes.filter((probe, i) => {
      if (i % 3 !== 0) return true;
      wheel.disarm(probe);
      return false;
    });
    await inTime(Promise.all(kept.map((probe) => probe.called)));
    expect(probes.reduce((calls, probe) => calls + probe.calls, 0)).toBe(kept.length);
    expect(kept.every((probe) => probe.calls === 1)).toBe(true);
  });

  it('lets what came in time count, although the process was late to look', async () => {
    const wheel = new DeadlineWheel();
    const { port1, port2 } = new MessageChannel();
    const answered = new Promise<boolean>((resolve) => {
      const probe = armed(wheel, 20, () => resolve(false));
      port1.on('message', () => {
        wheel.disarm(probe);
        resolve(true);
      });
    });
    port2.postMessage('the answer');
    const untilMs = performance.now() + 100; // the process is busy past the deadline
    while (performance.now() < untilMs);
    expect(await inTime(answered)).toBe(true);
    port1.close();
  });

  it('works again after it stood still', async () => {
    const wheel = new DeadlineWheel();
    await inTime(armed(wheel, 10).called);
    await inTime(armed(new DeadlineWheel(), 100).called); // longer than a tick with nothing armed
    await inTime(armed(wheel, 10).called);
  });
});
