// What a team writes in an afternoon, for comparison: an API that adds a BullMQ job for each delivery, and a worker
// that signs, sends with `fetch` and inserts a row for each attempt. Two processes of this file, one with each role,
// like api and worker. It loses what Redis loses, and nothing of it is limited, fair or guarded. A part, see part.mjs.
import { createHmac, randomBytes } from 'node:crypto';
import { Queue, Worker } from 'bullmq';
import { fastify } from 'fastify';
import pg from 'pg';
import { serve } from './part.mjs';

const QUEUE = 'most-teams';
/** As many at once as Posthorn sends to one subscription. */
const CONCURRENCY = 100;
const DEADLINE_MS = 5000;

serve({
  /** Listens for events; `subscriptions` are kept in memory, which is kind to it. */
  async accept({ redisUrl, subscriptions }) {
    const queue = new Queue(QUEUE, { connection: { url: redisUrl } });
    const app = fastify();
    app.post('/v1/events', async (request, reply) => {
      const { type, tenant, data } = request.body;
      const id = `evt_${randomBytes(16).toString('hex')}`;
      const body = JSON.stringify({ type, timestamp: new Date(), data });
      for (const { url, secret } of subscriptions.filter((subscription) => subscription.tenant === tenant)) {
        await queue.add(
          'deliver',
          { id, url, secret, body },
          { attempts: 8, backoff: { type: 'exponential', delay: 5000 }, removeOnComplete: true },
        );
      }
      reply.code(202);
      return { id };
    });
    return app.listen({ port: 0, host: '127.0.0.1' });
  },

  async deliver({ redisUrl, databaseUrl }) {
    const database = new pg.Pool({ connectionString: databaseUrl });
    await database.query(
      `create table attempts (id bigint generated always as identity primary key, event_id text not null,
         url text not null, status int, request_body text not null, response_body text,
         duration_ms int not null, created_at timestamptz not null default now());
       create index on attempts (event_id)`,
    );
    const worker = new Worker(
      QUEUE,
      async ({ data: { id, url, secret, body } }) => {
        const startedMs = Date.now();
        const timestamp = Math.floor(startedMs / 1000);
        const signature = createHmac('sha256', secret).update(`${id}.${timestamp}.${body}`).digest('base64');
        const response = await fetch(url, {
          method: 'POST',
          body,
          headers: {
            'content-type': 'application/json',
            'webhook-id': id,
            'webhook-timestamp': String(timestamp),
            'webhook-signature': `v1,${signature}`,
          },
          signal: AbortSignal.timeout(DEADLINE_MS),
        });
        const answer = await response.text();
        await database.query(
          `insert into attempts (event_id, url, status, request_body, response_body, duration_ms)
             values ($1, $2, $3, $4, $5, $6)`,
          [id, url, response.status, body, answer, Date.now() - startedMs],
        );
        if (!response.ok) throw new Error(`answered ${response.status}`);
      },
      { connection: { url: redisUrl }, concurrency: CONCURRENCY },
    );
    worker.on('error', (error) => console.error(error));
    await worker.waitUntilReady();
  },
});
