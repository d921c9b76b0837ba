// What goes on in a demo after its three events: a shop's tenants, receivers of every temper, and events for as long as
// it runs, so that there is something to see in the dashboard.
import { createServer } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';

const TENANTS = [
  { id: 'acme', name: 'Acme Inc.' },
  { id: 'globex', name: 'Globex' },
  { id: 'initech', name: 'Initech' },
];

const EVENT_TYPES = {
  'order.created': {
    description: 'A customer placed an order.',
    example: { order_id: 'ord_1042', items: 3, total: 59.9, currency: 'EUR' },
  },
  'order.shipped': {
    description: 'A parcel was handed to the carrier.',
    example: { order_id: 'ord_1042', carrier: 'Post', tracking: 'PX-20931-DE' },
  },
  'invoice.paid': {
    description: 'An invoice was paid in full.',
    example: { invoice_id: 'in_20931', total: 250.5, currency: 'EUR' },
  },
  'customer.updated': {
    description: 'Something about a customer changed.',
    example: { id: 'cus_77', name: 'Zoë Ångström', changed: ['address'] },
  },
};

/** What each receiver is like: how long it takes, and what it answers to its n-th request. */
const RECEIVERS = {
  warehouse: { takesMs: [5, 40], status: () => 200 },
  accounting: { takesMs: [120, 700], status: () => 204 },
  crm: { takesMs: [10, 90], status: (n) => (n % 4 === 0 ? 503 : 200) },
  analytics: { takesMs: [3, 15], status: () => 202 },
  legacy: { takesMs: [20, 60], status: () => 500 },
  partner: { takesMs: [30, 80], status: () => 200 },
};

const SUBSCRIPTIONS = [
  {
    tenant: 'acme',
    receiver: 'warehouse',
    eventTypes: ['order.*'],
    description: 'Warehouse: packs what was ordered',
  },
  {
    tenant: 'acme',
    receiver: 'accounting',
    eventTypes: ['invoice.paid'],
    description: 'Books paid invoices',
  },
  { tenant: 'acme', receiver: 'analytics', eventTypes: ['*'], description: 'Data warehouse' },
  {
    tenant: 'globex',
    receiver: 'crm',
    eventTypes: ['customer.*', 'order.created'],
    description: 'CRM, a little moody',
    retry: { delaysMs: [2_000, 10_000, 60_000], jitter: 0.2 },
  },
  {
    tenant: 'globex',
    receiver: 'legacy',
    eventTypes: ['order.*'],
    description: 'The old ERP. Answers 500 since the update',
    retry: { delaysMs: [5_000, 20_000], jitter: 0.2 },
  },
  {
    tenant: 'initech',
    receiver: 'partner',
    eventTypes: ['*'],
    description: 'Partner network, one a second at most',
    rateLimit: { count: 1, perMs: 1_000 },
  },
  {
    tenant: 'initech',
    receiver: 'warehouse',
    eventTypes: ['order.shipped'],
    description: 'On holiday',
    paused: true,
  },
];

const EVENT_EVERY_MS = 350;
const RETRY_MS = 1_000;

/** Sets the scene and emits until `signal`. What it started is ended through `undo`. */
export async function runTraffic({ call, signal, undo }) {
  const url = await startReceivers(undo);
  for (const { id, name } of TENANTS) await call('PUT', `/v1/tenants/${id}`, { name });
  for (const [name, type] of Object.entries(EVENT_TYPES)) await call('PUT', `/v1/event-types/${name}`, type);
  for (const { receiver, paused, ...subscription } of SUBSCRIPTIONS) {
    const { id } = await call('POST', '/v1/subscriptions', { ...subscription, url: `${url}/${receiver}` });
    if (paused) await call('POST', `/v1/subscriptions/${id}/pause`);
  }
  const emitting = emitUntil(signal, call);
  undo.push(() => emitting);
}

async function emitUntil(signal, call) {
  const types = Object.keys(EVENT_TYPES);
  for (let n = 1; !signal.aborted; n += 1) {
    const type = types[Math.floor(Math.random() * types.length)];
    const { id: tenant } = TENANTS[n % TENANTS.length];
    try {
      await call('POST', '/v1/events', { type, tenant, data: { ...EVENT_TYPES[type].example, number: n } });
      await sleep(EVENT_EVERY_MS * (0.5 + Math.random()), undefined, { signal });
    } catch {
      // The api starts again, or the demo ends: the next event comes when it is back, or not at all.
      if (!signal.aborted) await sleep(RETRY_MS);
    }
  }
}

async function startReceivers(undo) {
  const seen = new Map();
  const server = createServer((request, response) => {
    const name = (request.url ?? '').slice(1);
    const receiver = Object.hasOwn(RECEIVERS, name) ? RECEIVERS[name] : undefined;
    const n = (seen.get(name) ?? 0) + 1;
    seen.set(name, n);
    const [fromMs, toMs] = receiver?.takesMs ?? [0, 0];
    request.resume().on('end', () => {
      setTimeout(
        () => {
          const status = receiver?.status(n) ?? 404;
          const body = status < 300 ? { received: true } : { error: 'temporarily out of order', status };
          response.writeHead(status, { 'content-type': 'application/json' });
          response.end(status === 204 ? undefined : JSON.stringify(body));
        },
        fromMs + Math.random() * (toMs - fromMs),
      );
    });
  });
  await new Promise((resolve, reject) => server.once('error', reject).listen(0, '127.0.0.1', resolve));
  undo.push(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });
  return `http://127.0.0.1:${server.address().port}`;
}
