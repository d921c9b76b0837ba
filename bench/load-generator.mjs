// The producer: emits events at the times it was given, whatever becomes of the earlier ones. A part, see part.mjs.
import { setTimeout as sleep } from 'node:timers/promises';
import { benchData, EVENT_TYPE } from './bench-event.mjs';
import { nowMs } from './clock.mjs';
import { HttpClient } from './http-client.mjs';
import { serve } from './part.mjs';
import { percentile } from './statistics.mjs';

/** So many calls may be without an answer; an event that is due beyond them is not emitted, and counts as refused. */
const MAX_OPEN_CALLS = 10_000;
/** How long a batch waits before it is tried again after it was refused, and how often that may happen. */
const AGAIN_AFTER_MS = 100;
const MAX_TRIES = 50;

let client;

const event = (tenant, stream, n, dueMs, body) =>
  `{"type":"${EVENT_TYPE}","tenant":"${tenant}","data":${benchData(stream, n, dueMs, body)}}`;

/** The body of a call: one event, or an array of `batch` of them, numbered from `firstN` on. */
function callOf(tenant, stream, firstN, batch, dueMs, body) {
  if (batch === 1) return event(tenant, stream, firstN, dueMs, body);
  return `[${Array.from({ length: batch }, (_, i) => event(tenant, stream, firstN + i, dueMs, body)).join(',')}]`;
}

/** What became of the calls of one run. */
class Calls {
  sent = 0;
  open = 0;
  accepted = 0;
  refused = 0;
  byStatus = {};
  #tookMs = [];
  #lateMs = [];

  send(body, dueMs, after) {
    this.sent += 1;
    this.open += 1;
    this.#lateMs.push(nowMs() - dueMs);
    client.post(body, (status) => {
      this.open -= 1;
      this.#tookMs.push(nowMs() - dueMs);
      if (status === 202) this.accepted += 1;
      else this.refused += 1;
      this.byStatus[status] = (this.byStatus[status] ?? 0) + 1;
      after?.();
    });
  }

  async ended() {
    while (this.open > 0) await sleep(5);
  }

  summary() {
    return {
      accepted: this.accepted,
      refused: this.refused,
      byStatus: this.byStatus,
      // Both from the moment at which the event was to be emitted.
      callMs: { p50: percentile(this.#tookMs, 0.5), p99: percentile(this.#tookMs, 0.99) },
      generatorLateMs: { p99: percentile(this.#lateMs, 0.99) },
    };
  }
}

let credit = { received: 0, pump: () => undefined };

serve(
  {
    connect({ baseUrl, key, connections }) {
      client?.close();
      const headers = { authorization: `Bearer ${key}`, 'content-type': 'application/json' };
      client = new HttpClient({ baseUrl, path: '/v1/events', headers, connections });
    },

    /** `rate` events a second, one per call, evenly spaced, from `startMs` on for `durationMs`. */
    async openLoop({ stream, tenant, startMs, durationMs, rate, body }) {
      const calls = new Calls();
      const count = Math.ceil((durationMs * rate) / 1000);
      for (let n = 0; n < count;) {
        const dueMs = startMs + (n * 1000) / rate;
        const waitMs = dueMs - nowMs();
        if (waitMs > 0) {
          await sleep(waitMs);
          continue;
        }
        if (calls.open < MAX_OPEN_CALLS) calls.send(event(tenant, stream, n, dueMs, body), dueMs);
        else calls.refused += 1;
        n += 1;
        if (n % 64 === 0) await new Promise(setImmediate); // a late start must not keep answers from being read
      }
      await calls.ended();
      return { ...calls.summary(), events: count };
    },

    /**
     * As many events as arrive, in calls of `batch`: `window` of them are on their way, from call to receiver, at any
     * time. The bench tells how many deliveries have come; each event makes `fanOut` of them.
     */
    async closedLoop({ stream, tenant, durationMs, window, body, batch, fanOut }) {
      const calls = new Calls();
      const untilMs = nowMs() + durationMs;
      const pump = () => {
        const now = nowMs();
        if (now >= untilMs) return;
        // What was refused will never arrive.
        while ((calls.sent - calls.refused + 1) * batch - credit.received / fanOut <= window) {
          calls.send(callOf(tenant, stream, calls.sent * batch, batch, now, body), now);
        }
      };
      credit = { received: 0, pump };
      pump();
      await sleep(durationMs);
      await calls.ended();
      return calls.summary();
    },

    /** As many calls of one event as are answered, `open` at any time. */
    async callLoop({ durationMs, open, body }) {
      const calls = new Calls();
      const untilMs = nowMs() + durationMs;
      const next = () => {
        const now = nowMs();
        if (now < untilMs) calls.send(callOf('tenant', 'calls', calls.sent, 1, now, body), now, next);
      };
      for (let first = 0; first < open; first += 1) next();
      await sleep(durationMs);
      await calls.ended();
      return calls.summary();
    },

    /** `events` events in calls of `batch`, evenly spread over `overMs`. Resolves when all are accepted. */
    async batches({ stream, tenant, startMs, overMs, events, batch, body }) {
      const count = Math.ceil(events / batch);
      const tookMs = [];
      let accepted = 0;
      let refusals = 0;
      let lastAcceptedMs = startMs;
      await Promise.all(
        Array.from({ length: count }, async (_, call) => {
          const dueMs = startMs + (call * overMs) / count;
          await sleep(dueMs - nowMs());
          const size = Math.min(batch, events - call * batch);
          const members = callOf(tenant, stream, call * batch, size, dueMs, body);
          for (let tries = 0; tries < MAX_TRIES; tries += 1) {
            if ((await new Promise((resolve) => client.post(members, resolve))) === 202) {
              accepted += size;
              lastAcceptedMs = nowMs();
              tookMs.push(lastAcceptedMs - dueMs);
              return;
            }
            refusals += 1;
            await sleep(AGAIN_AFTER_MS);
          }
        }),
      );
      return { accepted, refusals, lastAcceptedMs, callMs: { p99: percentile(tookMs, 0.99) } };
    },
  },
  {
    onTold({ received }) {
      credit.received = received;
      credit.pump();
    },
  },
);
