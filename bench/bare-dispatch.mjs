// The baseline: the least that sending a signed webhook takes. One process, no database, no queue, nothing kept: it
// makes a body, signs it, posts it with undici, and forgets the answer. A part, see part.mjs.
import { createHmac, createSecretKey, randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { Pool } from 'undici';
import { benchData, EVENT_TYPE } from './bench-event.mjs';
import { nowMs } from './clock.mjs';
import { serve } from './part.mjs';

const KEY = createSecretKey(randomBytes(32)); // of bytes, Node.js 24 makes 10 µs instead of 2

let pool;

serve({
  async connect({ url, connections }) {
    await pool?.destroy();
    pool = new Pool(url, { connections, pipelining: 1 });
  },

  /** As many requests as are answered, `open` at any time. */
  async sendLoop({ stream, durationMs, open, body }) {
    const untilMs = nowMs() + durationMs;
    let n = 0;
    let underWay = 0;
    let failed = 0;
    const end = (status) => {
      underWay -= 1;
      if (status !== 200) failed += 1;
      next();
    };
    const next = () => {
      const now = nowMs();
      if (now >= untilMs) return;
      underWay += 1;
      post(stream, n++, now, body, end);
    };
    while (underWay < open) next();
    await sleep(durationMs);
    while (underWay > 0) await sleep(5);
    return { failed };
  },
});

function post(stream, n, dueMs, body, then) {
  const id = `evt_${String(n).padStart(26, '0')}`;
  const timestamp = Math.floor(Date.now() / 1000);
  const text = Buffer.from(
    `{"type":"${EVENT_TYPE}","timestamp":"${new Date().toISOString()}","data":${benchData(stream, n, dueMs, body)}}`,
  );
  const signature = createHmac('sha256', KEY).update(`${id}.${timestamp}.`).update(text).digest('base64');
  let status = 0;
  pool.dispatch(
    {
      path: '/ok',
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        'webhook-id': id,
        'webhook-timestamp': String(timestamp),
        'webhook-signature': `v1,${signature}`,
      },
      body: text,
    },
    {
      onRequestStart: () => undefined,
      onResponseStart: (_, code) => (status = code),
      onResponseData: () => undefined,
      onResponseEnd: () => then(status),
      onResponseError: () => then(0),
    },
  );
}
