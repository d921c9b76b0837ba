// npm start -- --demo: what Posthorn does, shown on the terminal with events of a shop and a receiver of our own.
import { createServer } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { Webhook, WebhookVerificationError } from 'standardwebhooks';
import { runTraffic } from './demo-traffic.mjs';
import { Refusal } from './repository.mjs';

/** Sent as they stand here: `100.00` must arrive with both its zeros. */
const EVENTS = [
  '{"type": "payment.succeeded", "data": {"user_id": 12345, "amount": 100.00, "currency": "USD"}}',
  '{"type": "invoice.paid", "data": {"invoice_id": "in_20931", "total": 250.50, "lines": [{"sku": "A-1", "quantity": 2}]}}',
  '{"type": "customer.created", "data": {"id": 98765432109876543210, "name": "Zoë Ångström", "tags": []}}',
];
/** The receiver fails this many times for this event type before it takes it. */
const FAILURES = { type: 'invoice.paid', count: 2 };
/** The receiver fails twice, so two retries suffice; short, so that there is something to see. */
const RETRY = { delaysMs: [1000, 1000], jitter: 0 };
const FINISHED_WITHIN_MS = 30_000;
const ASK_EVERY_MS = 200;

/**
 * Subscribes a receiver, emits three events and shows what comes of each; then traffic goes on until `signal`. `undo`
 * gets what ends what it started.
 */
export async function runDemo({ baseUrl, adminKey, say, signal, undo }) {
  const call = caller(baseUrl, adminKey, signal);
  const receiver = await startReceiver(say);
  undo.push(() => receiver.close());
  say(`\nDemo: a receiver listens on ${receiver.url}`);

  const subscription = await call('POST', '/v1/subscriptions', {
    url: receiver.url,
    eventTypes: ['*'],
    description: 'the receiver of the demo',
    retry: RETRY,
  });
  receiver.trust(subscription.secret);
  say(`subscribed   ${subscription.id} to every event; retries after 1 s and 1 s\n`);

  const emitted = [];
  for (const text of EVENTS) {
    const event = await call('POST', '/v1/events', text);
    emitted.push(event);
    say(`emitted      ${event.type}  ${event.id}  for ${event.matchedSubscriptions} subscription`);
  }

  for (const event of emitted) {
    const delivery = await finished(call, event, signal);
    const answers = delivery.attempts.map((attempt) => attempt.statusCode ?? attempt.errorCode).join(', ');
    say(`${delivery.state.padEnd(12)} ${event.type}  ${delivery.id}  answers: ${answers}`);
    if (delivery.state !== 'succeeded')
      throw new Refusal(`the demo's ${event.type} ended as ${delivery.state}`);
  }
  if (receiver.unverified > 0) throw new Refusal(`${receiver.unverified} requests did not verify`);
  say(
    `\nAll three arrived; ${receiver.verified} signatures verified with the standardwebhooks library.` +
      `\nNow a shop with three tenants goes on by itself: look at it at ${baseUrl}.` +
      `\nCtrl-C stops the demo and deletes its folder.`,
  );
  await runTraffic({ call, signal, undo });
}

async function startReceiver(say) {
  let webhook;
  let failuresLeft = FAILURES.count;
  const receiver = { verified: 0, unverified: 0 };
  const server = createServer((request, response) => {
    const chunks = [];
    request.on('data', (chunk) => chunks.push(chunk));
    request.on('end', () => {
      const body = Buffer.concat(chunks);
      const id = request.headers['webhook-id'];
      let problem;
      try {
        webhook.verify(body, request.headers);
      } catch (error) {
        if (!(error instanceof WebhookVerificationError)) throw error;
        problem = error.message;
      }
      receiver[problem === undefined ? 'verified' : 'unverified'] += 1;
      const { type } = JSON.parse(body);
      const fails = type === FAILURES.type && failuresLeft > 0;
      if (fails) failuresLeft -= 1;
      const status = problem === undefined ? (fails ? 500 : 200) : 401;
      response.writeHead(status, { 'content-type': 'text/plain' }).end(fails ? 'not today' : 'thank you');
      say(
        `received     ${type}  ${id}  signature ${problem ?? 'verified'}, answered ${status}\n             ${body.toString()}`,
      );
    });
  });
  await new Promise((resolve, reject) => server.once('error', reject).listen(0, '127.0.0.1', resolve));
  return Object.assign(receiver, {
    url: `http://127.0.0.1:${server.address().port}/webhooks`,
    trust(secret) {
      webhook = new Webhook(secret);
    },
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  });
}

/** Waits for the one delivery of an event to be finished, and answers it with its attempts. */
async function finished(call, event, signal) {
  const until = performance.now() + FINISHED_WITHIN_MS;
  for (;;) {
    const { data } = await call('GET', `/v1/deliveries?event=${event.id}`);
    const [delivery] = data;
    if (delivery && !['pending', 'in_flight'].includes(delivery.state)) {
      return call('GET', `/v1/deliveries/${delivery.id}`);
    }
    if (performance.now() > until)
      throw new Refusal(`${event.type} was not finished in ${FINISHED_WITHIN_MS / 1000} s`);
    await sleep(ASK_EVERY_MS, undefined, { signal });
  }
}

/** The API by hand, as anybody would use it. A text is sent as it is. */
function caller(baseUrl, key, signal) {
  return async (method, path, body) => {
    const response = await fetch(baseUrl + path, {
      method,
      headers: { authorization: `Bearer ${key}`, ...(body && { 'content-type': 'application/json' }) },
      ...(body && { body: typeof body === 'string' ? body : JSON.stringify(body) }),
      signal,
    });
    const text = await response.text();
    if (!response.ok) throw new Refusal(`${method} ${path} answered ${response.status}: ${text}`);
    return JSON.parse(text);
  };
}
