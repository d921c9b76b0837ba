// The receiver of a soak: looks at every byte and every signature, and keeps count of what came and what it answered. A
// part, see part.mjs. How it behaves is the first word of a path; whatever it refuses, it takes when it comes again.
import { createHmac } from 'node:crypto';
import { createServer } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { serve } from './part.mjs';
import { dataText, isWanted, readOrigin, typeOf } from './soak-event.mjs';

/** Between signing and arrival lies at most the longest time for which a worker is frozen. */
const SIGNED_WITHIN_S = 30;

/** How each answers the `time`-th request for an event, the first being 1; `undefined` hangs up. */
const BEHAVIOURS = {
  ok: () => ({ status: 200 }),
  // Some twice, so that a retry fails too.
  flaky: (n, time) => ({ status: (n % 5 === 0 && time === 1) || (n % 45 === 0 && time === 2) ? 500 : 200 }),
  slow: (n) => ({ status: 204, afterMs: (n * 37) % 250 }),
  cut: (n, time) => (n % 7 === 0 && time === 1 ? undefined : { status: 200 }),
  busy: (n, time) => (n % 200 === 0 && time === 1 ? { status: 429, retryAfter: '1' } : { status: 200 }),
  late: (n, time) => (n % 300 === 0 && time === 1 ? { status: 200, afterMs: 7_000 } : { status: 200 }),
};

/** By path. */
const subscriptions = new Map();
/** What should not have come, how often. */
const wrong = new Map();
let requests = 0;

/** What is wrong with a request; undefined when nothing is. */
function wrongWith(subscription, headers, body, origin) {
  const { 'webhook-id': id, 'webhook-timestamp': timestamp, 'webhook-signature': signature } = headers;
  const expected = createHmac('sha256', subscription.key)
    .update(`${id}.${timestamp}.`)
    .update(body)
    .digest('base64');
  if (signature !== `v1,${expected}`) return 'has a wrong signature';
  if (Math.abs(Date.now() / 1000 - Number(timestamp)) > SIGNED_WITHIN_S) return `was signed at ${timestamp}`;
  if (!origin) return 'is none of those that were emitted';
  const { tenant, n } = origin;
  if (tenant !== subscription.tenant) return `is an event of ${tenant}`;
  const type = typeOf(n);
  if (!isWanted(subscription.pattern, type)) return `is of a type that was not asked for`;
  const wanted = Buffer.from(
    `{"type":"${type}","timestamp":"${origin.timestamp}","data":${dataText(tenant, n)}}`,
  );
  if (!body.equals(wanted)) return 'has other bytes than were emitted';
  const known = subscription.events.get(n);
  if (known && known.webhookId !== id) return `came as ${known.webhookId} before, and as ${id} now`;
  if (known && known.timestamp !== origin.timestamp) return `has another timestamp than before`;
  return undefined;
}

async function take(request, response, body) {
  requests += 1;
  const subscription = subscriptions.get(request.url);
  const origin = readOrigin(body.toString('latin1', 0, 300));
  const found = subscription
    ? wrongWith(subscription, request.headers, body, origin)
    : 'is for no subscription';
  if (found !== undefined) {
    const what = `${request.url} number ${origin?.n}: ${found}`;
    wrong.set(what, (wrong.get(what) ?? 0) + 1);
    response.writeHead(400).end();
    return;
  }
  const { n, timestamp } = origin;
  if (!subscription.events.has(n)) {
    subscription.events.set(n, {
      webhookId: request.headers['webhook-id'],
      timestamp,
      times: 0,
      answers: {},
    });
  }
  const event = subscription.events.get(n);
  event.times += 1;
  const answer = subscription.behaviour(n, event.times);
  if (!answer) {
    request.socket.destroy();
    return;
  }
  if (answer.afterMs) await sleep(answer.afterMs);
  if (request.socket.destroyed) return; // it was not waited for
  event.answers[answer.status] = (event.answers[answer.status] ?? 0) + 1;
  response.writeHead(answer.status, answer.retryAfter ? { 'retry-after': answer.retryAfter } : {}).end();
}

const server = createServer((request, response) => {
  const chunks = [];
  request.on('data', (chunk) => chunks.push(chunk));
  request.on('error', () => undefined); // the sender hung up: what it sent is no request
  request.on('end', () => void take(request, response, Buffer.concat(chunks)));
});
server.keepAliveTimeout = 60_000;

serve({
  listen: () =>
    new Promise((resolve, reject) => {
      server
        .once('error', reject)
        .listen({ port: 0, host: '127.0.0.1', backlog: 4096 }, () =>
          resolve(`http://127.0.0.1:${server.address().port}`),
        );
    }),
  behaviours: () => Object.keys(BEHAVIOURS),
  /** Before its first request. `secret` is that of its signatures, `whsec_…`. */
  expect({ path, behaviour, tenant, pattern, secret }) {
    const key = Buffer.from(secret.slice('whsec_'.length), 'base64');
    subscriptions.set(path, {
      ...{ tenant, pattern, key },
      behaviour: BEHAVIOURS[behaviour],
      events: new Map(),
    });
  },
  /** `events`, by path and then by number: webhookId, timestamp, how many requests came, and `answers` by status. */
  collect: () => ({
    requests,
    wrong,
    events: new Map([...subscriptions].map(([path, { events }]) => [path, events])),
  }),
});
