import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { Webhook } from 'standardwebhooks';
import { copyTestDatabase, type TestDatabase } from './postgres.js';
import { runCli, startApi, startWorker, type RunningProcess } from './processes.js';
import type { ReceivedRequest } from './receiver.js';
import { startRedis, type TestRedis } from './redis.js';

/** Anything in a system test that takes longer than this counts as not happening. */
const BOUND_MS = 20_000;
const POLL_INTERVAL_MS = 25;
/** Longer than the product promises any answer to take, so that a broken promise is seen and not cut off. */
const ANSWER_BOUND_MS = 30_000;

export interface PosthornOptions {
  /** What carries the hints. `redis` starts a Redis of its own. */
  backend: 'redis' | 'postgres';
  /** How many to start; default 1. */
  apis?: number;
  /** How many to start; default 1. */
  workers?: number;
  /** Settings of every process, besides or in place of the fixture's. */
  env?: Record<string, string>;
}

export interface Answer {
  status: number;
  headers: Headers;
  bytes: Buffer;
  /** From the first byte asked to the last one answered. */
  tookMs: number;
}

export interface RequestOptions {
  /** Raw: sent as it is. */
  body?: string | Uint8Array;
  headers?: Record<string, string>;
  /** Which api is asked; default the first. */
  api?: RunningProcess;
}

/** What the API shows, as far as tests look at it. */
export interface SubscriptionShown {
  id: string;
  secret: string;
  state: string;
  stateReason: string | null;
  stateSince: string;
  heldUntil: string | null;
  holdReason: string | null;
}

export interface EmittedShown {
  id: string;
  createdAt: string;
  matchedSubscriptions: number;
  duplicate: boolean;
}

export interface AttemptShown {
  number: number;
  trigger: string;
  outcome: string;
  errorCode: string | null;
  statusCode: number | null;
  startedAt: string;
  durationMs: number | null;
  address: string | null;
  request: { url: string; headers: { name: string; value: string }[] } | null;
  response: {
    headers: { name: string; value: string }[];
    body: string;
    bodyEncoding: string;
    truncated: boolean;
  } | null;
}

export interface DeliveryShown {
  id: string;
  eventId: string;
  subscriptionId: string;
  state: string;
  reason: string | null;
  attemptCount: number;
  lastOutcome: string | null;
  nextAttemptAt: string | null;
  attempts: AttemptShown[];
}

/** Starts a whole Posthorn, as it runs in production: `posthorn migrate`, a key by the CLI, api and worker processes. */
export async function startPosthorn(options: PosthornOptions): Promise<Posthorn> {
  const ENCRYPTION_KEY = randomBytes(32).toString('base64');
  const database = await copyTestDatabase('posthorn', (DATABASE_URL) => {
    const env = { DATABASE_URL, ENCRYPTION_KEY };
    posthornCli(env, 'migrate');
    return posthornCli(env, 'keys', 'create', '--scopes', 'admin').trim();
  });
  const redis = options.backend === 'redis' ? await startRedis() : undefined;
  const posthorn = new Posthorn(database, redis, database.filledWith, {
    DATABASE_URL: database.url,
    ...(redis && { REDIS_URL: redis.url }),
    ENCRYPTION_KEY,
    ALLOW_HTTP_TARGETS: 'true',
    ALLOWED_PRIVATE_TARGETS: '127.0.0.0/8',
    OFFER_INTERVAL_MS: '100',
    ...options.env,
  });
  try {
    await Promise.all([
      ...Array.from({ length: options.apis ?? 1 }, () => posthorn.startApi()),
      ...Array.from({ length: options.workers ?? 1 }, () => posthorn.startWorker()),
    ]);
    return posthorn;
  } catch (error) {
    await posthorn.stop();
    throw error;
  }
}

/** A running deployment, with the client of a producer that holds an admin key. */
export class Posthorn {
  readonly apis: RunningProcess[] = [];
  readonly workers: RunningProcess[] = [];
  private readonly pool: pg.Pool;

  constructor(
    private readonly database: TestDatabase,
    private readonly ownRedis: TestRedis | undefined,
    private readonly adminKey: string,
    readonly env: Readonly<Record<string, string>>,
  ) {
    this.pool = new pg.Pool({ connectionString: database.url, max: 2 });
    this.pool.on('error', () => undefined); // tests cut connections
  }

  /** Throws on the `postgres` backend, which has none. */
  get redis(): TestRedis {
    if (!this.ownRedis) throw new Error('this deployment has no Redis');
    return this.ownRedis;
  }

  async startApi(env: Record<string, string> = {}): Promise<RunningProcess> {
    const api = await startApi({ ...this.env, ...env });
    this.apis.push(api);
    return api;
  }

  async startWorker(env: Record<string, string> = {}): Promise<RunningProcess> {
    const worker = await startWorker({ ...this.env, ...env });
    this.workers.push(worker);
    return worker;
  }

  /** Straight to the database, past every process. */
  async sql<Row>(text: string, values: unknown[] = []): Promise<Row[]> {
    return (await this.pool.query(text, values)).rows as Row[];
  }

  async request(method: string, path: string, options: RequestOptions = {}): Promise<Answer> {
    const api = options.api ?? this.apis[0];
    if (!api) throw new Error('no api runs');
    const startedMs = performance.now();
    const answer = await fetch(new URL(path, api.baseUrl), {
      method,
      headers: {
        authorization: `Bearer ${this.adminKey}`,
        ...(options.body !== undefined && { 'content-type': 'application/json' }),
        ...options.headers,
      },
      body: options.body ?? null,
      redirect: 'manual',
      signal: AbortSignal.timeout(ANSWER_BOUND_MS),
    });
    const bytes = Buffer.from(await answer.arrayBuffer());
    return { status: answer.status, headers: answer.headers, bytes, tookMs: performance.now() - startedMs };
  }

  /** The JSON of an answer that has the status it should have; throws with what came instead. */
  async ask<Body>(
    status: number,
    method: string,
    path: string,
    body?: unknown,
    options: RequestOptions = {},
  ): Promise<Body> {
    const answer = await this.request(method, path, {
      ...options,
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
    return readAnswer(answer, status, `${method} ${path}`) as Body;
  }

  /** `input` besides a URL and `eventTypes: ['*']`. */
  subscribe(url: string, input: Record<string, unknown> = {}): Promise<SubscriptionShown> {
    return this.ask(201, 'POST', '/v1/subscriptions', { url, eventTypes: ['*'], ...input });
  }

  subscription(id: string): Promise<SubscriptionShown> {
    return this.ask(200, 'GET', `/v1/subscriptions/${id}`);
  }

  /** Emits one event: the text of the whole request body. */
  async emit(rawBody: string | Uint8Array, options: RequestOptions = {}): Promise<EmittedShown> {
    const answer = await this.request('POST', '/v1/events', { ...options, body: rawBody });
    return readAnswer(answer, 202, 'POST /v1/events') as EmittedShown;
  }

  async emitBatch(rawBody: string | Uint8Array, options: RequestOptions = {}): Promise<EmittedShown[]> {
    const answer = await this.request('POST', '/v1/events', { ...options, body: rawBody });
    return (readAnswer(answer, 202, 'POST /v1/events') as { data: EmittedShown[] }).data;
  }

  delivery(id: string): Promise<DeliveryShown> {
    return this.ask(200, 'GET', `/v1/deliveries/${id}`);
  }

  /** The only delivery of an event, or its delivery to that subscription. */
  async deliveryOf(eventId: string, subscriptionId?: string): Promise<DeliveryShown> {
    const query = new URLSearchParams({
      event: eventId,
      ...(subscriptionId !== undefined && { subscription: subscriptionId }),
    });
    const { data } = await this.ask<{ data: { id: string }[] }>(
      200,
      'GET',
      `/v1/deliveries?${query.toString()}`,
    );
    const [only] = data;
    if (data.length !== 1 || !only) throw new Error(`${eventId} has ${data.length} deliveries`);
    return this.delivery(only.id);
  }

  /** The delivery, as soon as `holds` is true of it; throws with what it is when that takes too long. */
  async waitForDelivery(
    id: string,
    holds: (delivery: DeliveryShown) => boolean,
    boundMs = BOUND_MS,
  ): Promise<DeliveryShown> {
    let latest: DeliveryShown | undefined;
    return eventually(
      () => `delivery ${JSON.stringify(latest)}`,
      async () => {
        latest = await this.delivery(id);
        return holds(latest) ? latest : undefined;
      },
      boundMs,
    );
  }

  /** Resolves when no delivery is open any more. */
  async waitUntilIdle(boundMs = BOUND_MS): Promise<void> {
    let open: unknown;
    await eventually(
      () => `open deliveries ${JSON.stringify(open)}`,
      async () => {
        const rows = await this.sql<{ count: number }>(
          `select state, due_at, offer_at, lease_until, attempt_number, count(*) over ()::int as count
             from posthorn.open_deliveries limit 5`,
        );
        open = rows;
        return rows.length === 0 ? true : undefined;
      },
      boundMs,
    );
  }

  /** Ends every process and drops the database. */
  async stop(): Promise<void> {
    await Promise.all([...this.apis, ...this.workers].map((process) => process.kill()));
    await this.ownRedis?.stop();
    await this.pool.end();
    await this.database.drop();
  }
}

function posthornCli(env: Record<string, string>, ...args: string[]): string {
  const done = runCli(args, env);
  if (done.code !== 0) throw new Error(`posthorn ${args.join(' ')}: ${done.stderr}${done.stdout}`);
  return done.stdout;
}

/**
 * What the Standard Webhooks library, the official one, makes of a request.
 *
 * @throws its WebhookVerificationError when the request was not signed with this secret, just now
 */
export function verifyWebhook(request: ReceivedRequest, secret: string): unknown {
  return new Webhook(secret).verify(request.body, request.headers as Record<string, string>);
}

/** What `look` finds, as soon as it finds something; throws after `boundMs` and says what was waited for. */
export async function eventually<Found>(
  what: string | (() => string),
  look: () => Promise<Found | undefined> | Found | undefined,
  boundMs = BOUND_MS,
): Promise<Found> {
  const untilMs = performance.now() + boundMs;
  for (;;) {
    const found = await look();
    if (found !== undefined) return found;
    if (performance.now() > untilMs) {
      throw new Error(`not within ${boundMs} ms: ${typeof what === 'string' ? what : what()}`);
    }
    await sleep(POLL_INTERVAL_MS);
  }
}

function readAnswer(answer: Answer, status: number, what: string): unknown {
  const text = answer.bytes.toString('utf8');
  if (answer.status !== status) throw new Error(`${what} answered ${answer.status}: ${text.slice(0, 2_000)}`);
  return text === '' ? undefined : JSON.parse(text);
}
