// The receiver of a soak: looks at every byte and every signature, and keeps count of what came to whom. A part, see
// part.mjs. How it behaves is in the path, `/<behaviour>/<subscription>`; whatever it refuses, it takes when it comes again.
import { createHmac } from 'node:crypto';
import { createServer } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { serve } from './part.mjs';
import { dataText, isWanted, readOrigin, typeOf } from './soak-event.mjs';

const MAX_COMPLAINTS = 20;
const WITHIN_S = 5 * 60;

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

/** By id. */
const subscriptions = new Map();
const complaints = [];
let requests = 0;

function complain(what) {
  if (complaints.length < MAX_COMPLAINTS) complaints.push(what);
  else if (complaints.length === MAX_COMPLAINTS) complaints.push('and more');
}

/** What is wrong with a request; undefined when nothing is. */
function faultIn(subscription, headers, body, origin) {
  const { 'webhook-id': id, 'webhook-timestamp': timestamp, 'webhook-signature': signature } = headers;
  const expected = createHmac('sha256', subscription.key)
    .update(`${id}.${timestamp}.`)
    .update(body)
    .digest('base64');
  if (signature !== `v1,${expected}`) return 'has a wrong signature';
  if (Math.abs(Date.now() / 1000 - Number(timestamp)) > WITHIN_S) return `has the timestamp ${timestamp}`;
  if (!origin) return 'is none of those that were emitted';
  const { tenant, n } = origin;
  if (tenant !== subscription.tenant) return `is an event of ${tenant}`;
  const type = typeOf(n);
  if (!isWanted(subscription.pattern, type)) return `is of a type that was not asked for`;
  const [, when] = /^\{"type":"[^"]*","timestamp":"([^"]*)"/.exec(body.toString('latin1', 0, 200)) ?? [];
  const wanted = Buffer.from(`{"type":"${type}","timestamp":"${when}","data":${dataText(tenant, n)}}`);
  if (!body.equals(wanted)) return 'has other bytes than were emitted';
  const known = subscription.events.get(n);
  if (known && known.webhookId !== id) return `came as ${known.webhookId} before, and as ${id} now`;
  return undefined;
}

async function take(request, response, body) {
  requests += 1;
  const [, behaviour, subscriptionId] = request.url.split('/');
  const subscription = subscriptions.get(subscriptionId);
  const origin = readOrigin(body.toString('latin1', 0, 300));
  const fault = subscription
    ? faultIn(subscription, request.headers, body, origin)
    : 'is for no subscription';
  if (fault !== undefined) {
    complain(`${request.url} number ${origin?.n}: ${fault}`);
    response.writeHead(400).end();
    return;
  }
  const { n } = origin;
  let event = subscription.events.get(n);
  if (!event)
    subscription.events.set(n, (event = { webhookId: request.headers['webhook-id'], times: 0, taken: 0 }));
  event.times += 1;
  const answer = BEHAVIOURS[behaviour](n, event.times);
  if (!answer) {
    request.socket.destroy();
    return;
  }
  if (answer.afterMs) await sleep(answer.afterMs);
  if (answer.status < 300) event.taken += 1;
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
  expect({ path, tenant, pattern, secret }) {
    const key = Buffer.from(secret.slice('whsec_'.length), 'base64');
    subscriptions.set(path.split('/')[2], { tenant, pattern, key, events: new Map() });
  },
  /** How many were taken at least once, of all subscriptions together. */
  taken: () =>
    [...subscriptions.values()].reduce(
      (sum, { events }) => sum + [...events.values()].filter(({ taken }) => taken > 0).length,
      0,
    ),
  /** All that came, by subscription: rows of event number, webhook-id, requests, and how many of them were taken. */
  collect: () => ({
    requests,
    complaints,
    subscriptions: [...subscriptions].map(([id, { tenant, pattern, events }]) => ({
      ...{ id, tenant, pattern },
      events: [...events].map(([n, { webhookId, times, taken }]) => ({ n, webhookId, times, taken })),
    })),
  }),
});
