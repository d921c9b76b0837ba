import { createHash, randomBytes } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { patternsMatching, uuid7, type Decision } from '@posthorn/core';
import {
  createTestStore,
  explained,
  fillStore,
  planElsewhere,
  replayId,
  subscriptionId,
  TENANTS,
  WAITING,
  type Plan,
  type TestStore,
} from '@posthorn/testing';
import { findApiKeySecrets, listApiKeys, touchApiKeys } from '../control/api-keys.js';
import { listEventTypes } from '../control/event-types.js';
import { answerClaim, claimRequest, releaseClaim, renewClaim } from '../control/request-claims.js';
import { readSessionToken } from '../control/session-token.js';
import {
  createSession,
  deleteExpiredSessions,
  endSession,
  findSessions,
  takeSignInLink,
} from '../control/sessions.js';
import { readEventExample } from '../control/subscription-test-example.js';
import { loadSubscriptionsForSending } from '../control/subscriptions-for-sending.js';
import { getSubscription, listSubscriptions } from '../control/subscriptions.js';
import { listTenants } from '../control/tenants.js';
import type { Database } from '../database.js';
import { removeOldPartitions } from '../remove-partitions.js';
import type { Slice } from '../slice.js';
import { insertEvents, openTestDelivery } from './accept-events.js';
import { cancelDelivery, cancelOpenDeliveriesOfDeleted } from './cancel-deliveries.js';
import { countMatches } from './count-matches.js';
import { endWithoutPayload } from './end-without-payload.js';
import { claimDeliveries, readPayloads, releaseClaims } from './claim-deliveries.js';
import { countBacklogs } from './count-backlogs.js';
import { countOpenDeliveries, readWaitAges } from './count-open-deliveries.js';
import { countSubscriptions } from './count-subscriptions.js';
import { deleteContentOfTenants, deleteOldResponses, tenantsWithOwnClock } from './delete-old-content.js';
import { eraseAgain } from './erase-payload.js';
import { expireDeliveries, expireDeliveriesOfTenants } from './expire-deliveries.js';
import { readEventToExplain, readExplanationFacts } from './explain-event.js';
import { unknownEventTypes, unknownTenants } from './find-unknown.js';
import { deleteOldStatistics, deleteStatisticsOfDeleted, foldTallies } from './fold-tallies.js';
import { giveUpDuty, holdDuty } from './hold-duty.js';
import { answerKeys, deleteExpiredKeys, readKeys, releaseKeys, takeKeys } from './idempotency-keys.js';
import { listDeliveries, readAttempts, readDelivery, type DeliveryFilter } from './list-deliveries.js';
import { listEvents, readEvent } from './list-events.js';
import { matchingEventTypes } from './matching-event-types.js';
import { moveSubscription } from './move-subscription.js';
import { lookAtDue, offerNow } from './offer-due.js';
import { pickBacklog } from './pick-backlog.js';
import { oldestBacklogs, readStanding, readStandingOf } from './read-standing.js';
import { rankSubscriptions, readStatistics, readStatisticsOfSubscriptions } from './read-statistics.js';
import { recordAttempts, type AttemptRecord } from './record-attempts.js';
import {
  cancelReplay,
  countSelection,
  createReplay,
  deleteOldReplays,
  fixSelection,
  listReplays,
  readReplay,
  unsettledReplays,
} from './replays.js';
import type { ReplaySelection } from './replay-selection.js';
import { recountInFlight } from './recount-in-flight.js';
import { resendDelivery } from './resend-delivery.js';
import { signingSecrets } from './signing-secrets.js';
import { walkReplay, withdrawReplay } from './walk-replay.js';

/*
 * How PostgreSQL runs every statement of the store while much waits. The plans are kept in the folder beside this file,
 * for review; `UPDATE_PLANS=1` writes them. A statement also has a bound of pages: one that keeps its plan may still read
 * ten times as much.
 *
 * `PARKED` sets how many deliveries of held subscriptions wait: no plan and no bound depends on it. `WITHOUT_INDEX` drops
 * an index first, to see that it is missed.
 */
const PARKED = Number(process.env['PARKED'] ?? 200_000);
const IS_UPDATE = process.env['UPDATE_PLANS'] === '1';
/** The version whose plans are in the folder: that of the embedded server. */
const PLANNED_BY = 18;
const PLANS = path.join(import.meta.dirname, 'plans');

/** Tables of which no statement may read everything, but those that say so. */
const LARGE = new Set([
  ...[
    'tenants',
    'open_deliveries',
    'flows',
    'subscriptions',
    'subscription_patterns',
    'subscription_secrets',
  ],
  ...['events', 'payloads', 'deliveries', 'attempts', 'response_bodies'].flatMap((name) => [
    name,
    `${name}_pdate`,
  ]),
  ...['idempotency_keys', 'api_keys', 'sessions', 'event_types', 'replays'],
  ...['tallies', 'statistics_minutes', 'statistics_hours'],
]);

let store: TestStore;
/** A store in which hardly anything is as yet. */
let begun: TestStore;
let db: Database;
let serverVersion: number;

beforeAll(async () => {
  store = await createTestStore();
  db = store.db;
  begun = await createTestStore();
  await begin(begun.db);
  await fillStore(db, { parked: PARKED });
  const without = process.env['WITHOUT_INDEX'];
  if (without !== undefined) await db.query({ text: `drop index posthorn.${without}` });
  const [version] = await db.query<{ major: number }>({
    text: `select current_setting('server_version_num')::int / 10000 as major`,
  });
  serverVersion = version!.major;
}, 280_000);

afterAll(async () => {
  await store.drop();
  await begun.drop();
});

interface Case {
  run: (db: Database) => Promise<unknown>;
  /** By statement, how many pages it may read; the one without a name goes by that of the case. */
  pages: number | Record<string, number>;
  /** Tables that it reads as a whole, because that is its job. */
  scans?: string[];
  /** How many rows it answers. */
  rows?: number;
}

const ALL = { allButSystem: true } as const;
const of = (tenant: number) => ({ tenant: `tenant${tenant}` });
const tenantOf = (n: number): string => `tenant${n % TENANTS}`;
const PAGE: Slice = { limit: 50 };
const DAY_MS = 86_400_000;
const TERMS = { defaultTimeoutMs: 5000, slackMs: 15_000, defaultMaxInFlight: 100, failingAfterFailures: 5 };
const NO_SUSPECTS = { room: 250, subscriptionIds: [] };
const [FIRST_HELD, FIRST_READY, FIRST_DUE] = [WAITING.held.from, WAITING.ready.from, WAITING.due.from];

/** Five subscriptions with a delivery each. */
async function begin(on: Database): Promise<void> {
  const subscription = `select gen_random_uuid() as id, 'acme' as tenant, 'a' as type from generate_series(1, 5)`;
  for (const text of [
    `insert into posthorn.tenants (id) values ('acme')`,
    `insert into posthorn.subscriptions (id, tenant, url, event_types)
     select id, tenant, 'https://example.com/', array[type] from (${subscription}) s`,
    `insert into posthorn.subscription_patterns (tenant, pattern, subscription_id)
     select tenant, event_types[1], id from posthorn.subscriptions`,
    `insert into posthorn.subscription_secrets (id, subscription_id, sealed)
     select id, id, '\\x00' from posthorn.subscriptions`,
    `insert into posthorn.flows (subscription_id, tenant) select id, tenant from posthorn.subscriptions`,
    `insert into posthorn.open_deliveries (id, event_id, subscription_id, tenant, event_type, payload_bytes, due_at, offer_at)
     select id, id, id, tenant, event_types[1], 1, now(), now() from posthorn.subscriptions`,
    'vacuum (analyze)',
  ]) {
    await on.query({ text });
  }
}

/** Ids of open deliveries of the subscriptions with these numbers, one of each at most. */
async function openOf(first: number, count: number): Promise<string[]> {
  const rows = await db.query<{ id: string }>({
    text: `
      select d.id from generate_series($1::int, $2::int) n
       cross join lateral (
         select id from posthorn.open_deliveries
          where subscription_id = ('00000000-0000-7000-8000-' || lpad(n::text, 12, '0'))::uuid limit 1) d`,
    values: [first, first + count - 1],
  });
  return rows.map((row) => row.id);
}

/** A delivery in the middle of the log. */
async function logged(): Promise<{ id: string; event_id: string }> {
  const [row] = await db.query<{ id: string; event_id: string }>({
    text: 'select id, event_id from posthorn.deliveries order by id offset 20000 limit 1',
  });
  return row!;
}

const digest = (n: number): Buffer => createHash('sha256').update(String(n)).digest();
const keys = (count: number) =>
  Array.from({ length: count }, (_, n) => ({
    digest: digest(n + 29_950),
    fingerprint: digest(0),
    ttlMs: 60_000,
  }));

/** Events of as many subscriptions that each match one. */
const newEvents = (count: number, first = 17_000) =>
  Array.from({ length: count }, (_, n) => ({
    id: uuid7(Date.now(), randomBytes(10)),
    tenant: tenantOf(first + n),
    type: `only.${first + n}`,
    patterns: patternsMatching(`only.${first + n}`),
    externalId: null,
    occurredAt: new Date(),
    body: Buffer.from('{}'),
  }));

async function records(decision: Decision, count = 100): Promise<AttemptRecord[]> {
  const ids = await openOf(WAITING.inFlight.from, count);
  return ids.map((deliveryId, n) => ({
    deliveryId,
    subscriptionId: subscriptionId(WAITING.inFlight.from + n),
    number: 1,
    trigger: 'schedule',
    outcome: decision.delivery.to === 'succeeded' ? 'accepted' : 'rejected',
    errorCode: null,
    errorDetail: null,
    statusCode: decision.delivery.to === 'succeeded' ? 200 : 500,
    startedAt: new Date(),
    durationMs: 5,
    dnsMs: null,
    connectMs: null,
    tlsMs: null,
    firstByteMs: null,
    address: null,
    url: null,
    requestHeaders: null,
    responseHeaders: null,
    responseBody: Buffer.from('ok'),
    responseTruncated: false,
    decision,
  }));
}

const inFlightClaims = async () =>
  (await openOf(WAITING.inFlight.from, 100)).map((deliveryId) => ({ deliveryId, attemptNumber: 1 }));

/** Of the whole log, until now; of what failed or of everything. */
const selection = (over: Partial<ReplaySelection>): ReplaySelection => ({
  tenant: null,
  subscriptionId: null,
  eventType: null,
  states: ['succeeded', 'exhausted', 'cancelled', 'expired'],
  sinceMs: Date.now() - 10 * DAY_MS,
  untilMs: Date.now(),
  missedPatterns: null,
  startedAt: new Date(),
  ...over,
});
const FAILED: ReplaySelection['states'] = ['exhausted', 'cancelled', 'expired'];
const SELECTED = WAITING.logged.from + 7;
const ofSelected = { tenant: tenantOf(SELECTED), subscriptionId: subscriptionId(SELECTED) };
const count = (over: Partial<ReplaySelection>) => (on: Database) =>
  countSelection(on, selection(over), { maxRows: 1000, maxMs: 60_000 });
/** Starts a replay and takes it a step on. */
const walk = (over: Partial<ReplaySelection>) => async (on: Database) => {
  const id = uuid7(Date.now(), randomBytes(10));
  await createReplay(on, id, selection(over), { selected: 10, isMore: false }, 100);
  return walkReplay(on, id, 100, 1000);
};

const HOT: Record<string, Case> = {
  'accepting events': {
    run: (on) => insertEvents(on, on.query, newEvents(100), 15_000),
    pages: { 'insert-events': 8000 },
  },
  'how many deliveries a batch makes': {
    run: (on) => countMatches(on, [newEvents(100)]),
    pages: { 'count-matches': 1000 },
  },
  'a test': {
    run: (on) => openTestDelivery(on, newEvents(1)[0]!, subscriptionId(17_000), 15_000),
    pages: { 'open-test-delivery': 150 },
  },
  'idempotency keys': {
    run: async (on) => {
      await takeKeys(on.query, keys(100));
      const digests = keys(100).map((key) => key.digest);
      await readKeys(on.query, digests);
      await answerKeys(
        on.query,
        digests.map((key) => ({ digest: key, response: Buffer.from('{}') })),
      );
      await releaseKeys(on.query, digests);
    },
    pages: { 'take-keys': 2000, 'read-keys': 800, 'answer-keys': 3000, 'release-keys': 1200 },
  },
  'requests that are made once': {
    run: async (on) => {
      const claimed = await claimRequest(on, digest(50_000), digest(0));
      if (claimed.state !== 'claimed') throw new Error('the key is taken');
      const token = await renewClaim(on, digest(50_000), claimed.token);
      await answerClaim(on, { digest: digest(50_000), token: token! }, Buffer.from('{}'), 1000);
      await releaseClaim(on, { digest: digest(50_000), token: token! });
    },
    pages: { 'claim-request': 50, 'renew-claim': 20, 'answer-claim': 50, 'release-claim': 20 },
  },
  'API keys': {
    run: async (on) => {
      await findApiKeySecrets(on, [subscriptionId(1), subscriptionId(9000)]);
      await touchApiKeys(on, [subscriptionId(1), subscriptionId(9000)]);
    },
    pages: { 'find-api-key-secrets': 20, 'touch-api-keys': 100 },
  },
  sessions: {
    run: async (on) => {
      const session = {
        keyId: subscriptionId(7),
        tenant: 'tenant7',
        scopes: ['admin'],
        portal: null,
      } as const;
      const terms = { ...session, ttlMs: 60_000 };
      const link = await createSession(on, { ...terms, kind: 'sign_in' }, { strictTenants: false });
      if (!('made' in link)) throw new Error('there is no such key');
      const taken = await takeSignInLink(on, readSessionToken('sign_in', link.made.token)!, 60_000);
      await findSessions(on, [taken!.id, subscriptionId(9000)]);
      await endSession(on, ALL, { id: taken!.id, kind: 'dashboard' });
    },
    pages: { 'create-session': 100, 'take-sign-in-link': 100, 'find-sessions': 20, 'end-session': 20 },
  },
  'signing secrets': {
    run: (on) => signingSecrets(on, of(1), subscriptionId(1), 20),
    pages: { 'signing-secrets': 200 },
  },
  'what is unknown': {
    run: async (on) => {
      await unknownTenants(on, ['tenant1', 'nobody']);
      await unknownEventTypes(on, ['only.1', 'nothing']);
      await matchingEventTypes(on, ['only.1', 'only.*', '*'], 20);
      await readEventExample(on, 'only.1');
    },
    pages: {
      'unknown-tenants': 20,
      'unknown-event-types': 20,
      'read-event-example': 20,
      'matching-event-types': 40,
    },
  },
  claiming: {
    run: async (on) => claimDeliveries(on, await openOf(FIRST_DUE, 250), TERMS, NO_SUSPECTS),
    pages: { 'claim-deliveries': 15_000 },
    rows: 250,
  },
  'what a claim needs': {
    run: async (on) => {
      await loadSubscriptionsForSending(
        on,
        Array.from({ length: 100 }, (_, n) => subscriptionId(FIRST_DUE + n)),
      );
      const [events, ids] = [[] as string[], await openOf(FIRST_DUE, 100)];
      for (const id of ids) events.push((await readDelivery(db, ALL, id))!.event_id);
      await readPayloads(on, events);
    },
    pages: { 'subscriptions-for-sending': 1500, 'read-payloads': 800 },
    rows: 100,
  },
  'giving claims back': {
    run: async (on) => releaseClaims(on, await inFlightClaims()),
    pages: { 'release-claims': 10_000 },
  },
  'claims without a payload': {
    run: async (on) => endWithoutPayload(on, await inFlightClaims()),
    pages: { 'end-without-payload': 8000 },
  },
  'recording successes': {
    run: async (on) =>
      recordAttempts(on, await records({ delivery: { to: 'succeeded' }, subscription: null }), 5),
    pages: { 'record-attempts': 10_000 },
  },
  'recording failures': {
    run: async (on) =>
      recordAttempts(
        on,
        await records({
          delivery: { to: 'pending', delayMs: 60_000, retryStep: 1, lostRun: 0 },
          subscription: { kind: 'hold', reason: 'retry_after', holdMs: 1000 },
        }),
        5,
      ),
    pages: { 'record-attempts': 12_000 },
  },
  'moving a subscription': {
    run: (on) =>
      moveSubscription(
        on,
        subscriptionId(FIRST_HELD),
        { state: 'held', failures: 1, failingForMs: 1, probeStep: 0 },
        { to: 'disabled', reason: 'failing' },
      ),
    pages: { 'move-subscription': 50 },
  },
  'looking at what is due': {
    run: (on) => lookAtDue(on, 500, 15_000),
    pages: { 'look-at-due': 35_000 },
    rows: 500,
  },
  'hints that nobody took': {
    run: async (on) => offerNow(on, await openOf(WAITING.hinted.from, 100)),
    pages: { 'offer-now': 8000 },
  },
  picking: {
    run: (on) => pickBacklog(on, { ...TERMS, room: 250, suspects: NO_SUSPECTS }),
    pages: { 'pick-backlog': 5000 },
  },
  'ending backlogs': {
    run: async (on) => {
      for (let picks = 0; picks < 3; picks += 1) {
        await pickBacklog(on, { ...TERMS, room: 250, suspects: NO_SUSPECTS });
      }
    },
    pages: { 'lock-flow': 20, 'end-backlog': 50 },
  },
  resending: {
    run: async (on) => resendDelivery(on, ALL, (await logged()).id, 15_000),
    pages: { 'resend-delivery': 200 },
  },
  cancelling: {
    run: async (on) => cancelDelivery(on, ALL, (await openOf(FIRST_HELD, 1))[0]!),
    pages: { 'cancel-delivery': 100 },
  },
};

const HOUSEKEEPING: Record<string, Case> = {
  'who does it': {
    run: async (on) => {
      await holdDuty(on, 'housekeeping', 'spec', 1000);
      await giveUpDuty(on, 'housekeeping', 'spec');
    },
    pages: { 'hold-duty': 20, 'give-up-duty': 20 },
    scans: ['holders'],
  },
  'deliveries of deleted subscriptions': {
    run: (on) => cancelOpenDeliveriesOfDeleted(on, 500),
    pages: { 'cancel-deliveries-of-deleted': 25_000 },
    scans: ['subscriptions'], // by an index of those that are deleted and not yet done with
  },
  'deliveries past their time': {
    run: (on) => expireDeliveries(on, { backlogMs: 3 * DAY_MS, payloadMs: 7 * DAY_MS }, 500),
    pages: { 'find-past-deliveries': 2500, 'expire-deliveries': 25_000 },
  },
  'deliveries past the time of their tenants': {
    run: (on) =>
      expireDeliveriesOfTenants(
        on,
        Array.from({ length: 10 }, (_, n) => ({ tenant: `tenant${n * 30}`, payloadMs: 2 * DAY_MS })),
        3 * DAY_MS,
        500,
      ),
    pages: { 'find-past-deliveries-of-tenants': 150 },
  },
  'content past the time of its tenant': {
    run: async (on) => {
      const clocks = await tenantsWithOwnClock(on, 7 * DAY_MS, undefined, 200);
      await deleteContentOfTenants(on, 'payloads', clocks, new Map(), 1000);
      await deleteContentOfTenants(on, 'response_bodies', clocks, new Map(), 1000);
    },
    pages: {
      'tenants-with-own-clock': 50,
      'past-payloads-of-tenants': 4000,
      'delete-payloads': 2500,
      'past-response_bodies-of-tenants': 4000,
      'delete-response_bodies': 2000,
    },
  },
  'old answers': {
    run: (on) => deleteOldResponses(on, DAY_MS, 1000),
    pages: { 'old-responses-edge': 50, 'delete-old-responses': 5000 },
  },
  'what was erased a while ago': {
    run: (on) => eraseAgain(on, undefined, 1),
    pages: { 'erased-a-while-ago': 50, 'mark-erased': 100, 'erase-content': 100 },
  },
  'old keys': { run: (on) => deleteExpiredKeys(on.query, 500), pages: { 'delete-expired-keys': 6000 } },
  'old sessions': {
    run: (on) => deleteExpiredSessions(on, 500),
    pages: { 'delete-expired-sessions': 6000 },
  },
  'the oldest that is open': {
    run: (on) =>
      removeOldPartitions(on, {
        payloadMs: 90 * DAY_MS,
        logMs: 90 * DAY_MS,
        responseMs: 90 * DAY_MS,
        backlogMs: DAY_MS,
      }),
    pages: { 'oldest-open': 20 },
  },
  'how long work waits': { run: (on) => readWaitAges(on, 15_000), pages: { 'read-wait-ages': 15_000 } },
  'what was tallied': {
    run: (on) => foldTallies(on, 500),
    pages: { 'fold-tallies-500': 500_000 },
    scans: ['tallies'], // taken from their beginning
  },
  'old statistics': {
    run: async (on) => {
      await deleteOldStatistics(on, 'minutes', 3_600_000, 100);
      await deleteOldStatistics(on, 'hours', DAY_MS / 2, 100);
      await deleteStatisticsOfDeleted(on, 'minutes', 100);
      await deleteStatisticsOfDeleted(on, 'hours', 100);
    },
    pages: {
      'delete-old-statistics-minutes': 1000,
      'delete-old-statistics-hours': 1000,
      'delete-statistics-of-deleted-minutes': 4000,
      'delete-statistics-of-deleted-hours': 4000,
    },
  },
  'how many are open': {
    run: (on) => countOpenDeliveries(on),
    pages: { 'count-open-deliveries': Infinity },
    scans: ['open_deliveries'],
  },
  'how many are in flight': {
    run: (on) => recountInFlight(on),
    pages: { 'recount-in-flight': Infinity },
    scans: ['open_deliveries', 'flows'],
  },
  'how many subscriptions there are': {
    run: (on) => countSubscriptions(on),
    pages: { 'count-subscriptions': 1500 },
    scans: ['flows'],
  },
};

const REPLAYS: Record<string, Case> = {
  'what is asked for': {
    run: (on) =>
      fixSelection(on, ALL, {
        subscriptionId: ofSelected.subscriptionId,
        eventType: null,
        states: FAILED,
        sinceMs: 0,
        untilMs: null,
        includeMissed: true,
      }),
    pages: { 'fix-selection': 20 },
  },
  'of a subscription': { run: count(ofSelected), pages: { 'find-in-log of subscription': 200 } },
  'what failed of a subscription': {
    run: count({ ...ofSelected, states: FAILED }),
    pages: { 'find-in-log failed of subscription': 100 },
  },
  'of a tenant': { run: count({ tenant: 'tenant7' }), pages: { 'find-in-log of tenant': 3000 } },
  'what failed of a tenant': {
    run: count({ tenant: 'tenant0', states: FAILED }),
    pages: { 'find-in-log failed of tenant': 150 },
  },
  'what failed': {
    run: count({ states: FAILED }),
    pages: { 'find-in-log cancelled+exhausted+expired': 20_000 },
  },
  'of an event type': { run: count({ eventType: 'type.3' }), pages: { 'find-in-log of event type': 50_000 } },
  'of all': { run: count({}), pages: { 'find-in-log of all': 60_000 } },
  'a step': {
    run: walk(ofSelected),
    pages: { 'create-replay': 50, 'replay-to-advance': 20, 'reopen-for-replay': 600, 'move-replay-on': 20 },
    scans: ['replays'], // by an index of those that are under way
  },
  'a step through what was missed': {
    run: async (on) => {
      const id = uuid7(Date.now(), randomBytes(10));
      const missed = {
        tenant: tenantOf(SELECTED),
        subscriptionId: subscriptionId(FIRST_DUE),
        missedPatterns: ['*'],
      };
      await createReplay(on, id, selection(missed), { selected: 10, isMore: false }, 100);
      await walkReplay(on, id, 100, 1000);
      await walkReplay(on, id, 100, 1000);
    },
    pages: { 'find-missed': 3000, 'open-missed': 8000 },
  },
  'what was cancelled': {
    run: async (on) => {
      await cancelReplay(on, ALL, replayId(WAITING.replayed.from));
      await withdrawReplay(on, replayId(WAITING.replayed.to), 500);
    },
    pages: { 'cancel-replay': 20, 'withdraw-replay': 25_000, 'give-back-to-replay': 20, 'settle-replay': 20 },
  },
  'what is under way': { run: (on) => unsettledReplays(on, null, 10), pages: { 'unsettled-replays': 20 } },
  'old ones': { run: (on) => deleteOldReplays(on, DAY_MS, 500), pages: { 'delete-old-replays': 5000 } },
};

const deliveries =
  (tenant: number | null, filter: DeliveryFilter, slice: Slice = PAGE) =>
  (on: Database) =>
    listDeliveries(on, tenant === null ? ALL : of(tenant), filter, slice);

const SUBSCRIPTION = subscriptionId(SELECTED);

const LISTS: Record<string, Case> = {
  deliveries: { run: deliveries(null, {}), pages: 2000, rows: 51 },
  'deliveries of a tenant': { run: deliveries(7, {}), pages: 500, rows: 51 },
  'deliveries of a tenant that has none': {
    run: (on) => listDeliveries(on, { tenant: 'nobody' }, {}, PAGE),
    pages: 100,
    rows: 0,
  },
  'deliveries of a subscription': {
    run: deliveries(null, { subscriptionId: SUBSCRIPTION }),
    pages: 150,
    rows: 9,
  },
  'deliveries of a held subscription': {
    run: deliveries(null, { subscriptionId: subscriptionId(FIRST_HELD) }),
    pages: 500,
    rows: 51,
  },
  'deliveries of a tenant and a subscription': {
    run: deliveries(SELECTED % TENANTS, { subscriptionId: SUBSCRIPTION }),
    pages: 150,
  },
  'deliveries of a subscription in a state': {
    run: deliveries(SELECTED % TENANTS, { subscriptionId: SUBSCRIPTION, state: 'succeeded' }),
    pages: 150,
  },
  'deliveries of a tenant and an event type': { run: deliveries(7, { eventType: 'type.3' }), pages: 800 },
  'deliveries of a tenant and a status class': { run: deliveries(0, { statusClass: 5 }), pages: 800 },
  'deliveries of an event type': { run: deliveries(null, { eventType: 'type.3' }), pages: 400, rows: 51 },
  'deliveries of an event': {
    run: async (on) => listDeliveries(on, ALL, { eventId: (await logged()).event_id }, PAGE),
    pages: 100,
    rows: 1,
  },
  'deliveries exhausted': { run: deliveries(null, { state: 'exhausted' }), pages: 500, rows: 51 },
  'deliveries succeeded': { run: deliveries(null, { state: 'succeeded' }), pages: 400, rows: 51 },
  'deliveries pending': { run: deliveries(null, { state: 'pending' }), pages: 600, rows: 51 },
  'deliveries in flight': { run: deliveries(null, { state: 'in_flight' }), pages: 1000, rows: 51 },
  'deliveries of a tenant in flight': { run: deliveries(7, { state: 'in_flight' }), pages: 600 },
  'deliveries of a status class': { run: deliveries(null, { statusClass: 5 }), pages: 400, rows: 51 },
  'deliveries of the usual status class': { run: deliveries(null, { statusClass: 2 }), pages: 400, rows: 51 },
  'deliveries of a time': {
    run: deliveries(null, { sinceMs: Date.now() - 60 * 60_000 - 1000, untilMs: Date.now() - 60 * 60_000 }),
    pages: 400,
    rows: 51,
  },
  'deliveries further back': {
    run: async (on) => listDeliveries(on, ALL, {}, { ...PAGE, after: (await logged()).id }),
    pages: 400,
    rows: 51,
  },
  'deliveries backwards': {
    run: async (on) => listDeliveries(on, ALL, {}, { ...PAGE, before: (await logged()).id }),
    pages: 400,
    rows: 51,
  },
  'one delivery': {
    run: async (on) => {
      const { id } = await logged();
      await readDelivery(on, ALL, id);
      await readAttempts(on, id, 50);
    },
    pages: { 'read-delivery': 50, 'read-attempts': 20 },
  },
  events: { run: (on) => listEvents(on, ALL, {}, PAGE), pages: 1200, rows: 51 },
  'events of a tenant': { run: (on) => listEvents(on, of(7), {}, PAGE), pages: 150, rows: 51 },
  'events of a type': { run: (on) => listEvents(on, ALL, { type: 'type.3' }, PAGE), pages: 50, rows: 51 },
  'events of a tenant and a type': {
    run: (on) => listEvents(on, of(7), { type: 'type.3' }, PAGE),
    pages: 1000,
  },
  'events with an externalId': {
    run: (on) => listEvents(on, of(7), { externalId: 'external7' }, PAGE),
    pages: 50,
    rows: 1,
  },
  'events of a time': {
    run: (on) => listEvents(on, ALL, { untilMs: Date.now() - DAY_MS }, PAGE),
    pages: 50,
    rows: 51,
  },
  'one event': {
    run: async (on) => readEvent(on, ALL, (await logged()).event_id),
    pages: { 'read-event': 50 },
  },
  'why an event went where': {
    run: async (on) => {
      const event = await readEventToExplain(on, ALL, (await logged()).event_id);
      await readExplanationFacts(on, ALL, event!, { subscriptionId: undefined, limit: 50 }, 100);
    },
    pages: { 'read-event-to-explain': 100, 'read-explanation-facts-51': 1500 },
  },
  backlogs: {
    run: (on) =>
      countBacklogs(
        on,
        Array.from({ length: 50 }, (_, n) => subscriptionId(FIRST_READY + n)),
        10_000,
      ),
    pages: { 'count-backlogs-10001': 1500 },
    rows: 50,
  },
  subscriptions: { run: (on) => listSubscriptions(on, ALL, PAGE), pages: 200, rows: 51 },
  'subscriptions of a tenant': { run: (on) => listSubscriptions(on, of(7), PAGE), pages: 400, rows: 51 },
  'subscriptions held': { run: (on) => listSubscriptions(on, ALL, PAGE, 'held'), pages: 1000, rows: 51 },
  'subscriptions held of a tenant': {
    run: (on) => listSubscriptions(on, of(7), PAGE, 'held'),
    pages: 500,
    rows: 4,
  },
  'subscriptions paused of a tenant': {
    run: (on) => listSubscriptions(on, of(7), PAGE, 'paused'),
    pages: 150,
  },
  'subscriptions active': { run: (on) => listSubscriptions(on, ALL, PAGE, 'active'), pages: 200, rows: 51 },
  'subscriptions active of a tenant': {
    run: (on) => listSubscriptions(on, of(7), PAGE, 'active'),
    pages: 500,
    rows: 51,
  },
  'one subscription': { run: (on) => getSubscription(on, ALL, SUBSCRIPTION), pages: 20, rows: 1 },
  replays: { run: (on) => listReplays(on, ALL, PAGE), pages: 20, rows: 51 },
  'replays of a tenant': { run: (on) => listReplays(on, of(7), PAGE), pages: 50, rows: 10 },
  'one replay': { run: (on) => readReplay(on, ALL, replayId(7)), pages: { 'read-replay': 20 } },
  'API keys': { run: (on) => listApiKeys(on, { all: true }, PAGE), pages: 20, rows: 51 },
  'API keys of a tenant': { run: (on) => listApiKeys(on, of(7), PAGE), pages: 100 },
  tenants: { run: (on) => listTenants(on, ALL, PAGE), pages: 20, rows: 51 },
  'event types': { run: (on) => listEventTypes(on, PAGE), pages: 50, rows: 51 },
};

const LAST_DAY = {
  sinceMs: Date.now() - DAY_MS,
  untilMs: Date.now(),
  stepMs: DAY_MS / 24,
  by: 'hours',
} as const;
const LAST_HOUR = { ...LAST_DAY, sinceMs: Date.now() - DAY_MS / 24, stepMs: 60_000, by: 'minutes' } as const;
const hundred = Array.from({ length: 100 }, (_, n) => subscriptionId(WAITING.logged.from + n));

const STATISTICS: Record<string, Case> = {
  'of a time': {
    run: async (on) => {
      await readStatistics(on, { scope: ALL, subscriptionId: null }, LAST_HOUR);
      await readStatistics(on, { scope: of(SELECTED % TENANTS), subscriptionId: SUBSCRIPTION }, LAST_DAY);
    },
    pages: { 'read-statistics-minutes': 35_000, 'read-statistics-hours': 35_000 },
    scans: ['tallies'],
  },
  'of subscriptions': {
    run: async (on) => {
      await readStatisticsOfSubscriptions(on, hundred, LAST_HOUR);
      await readStatisticsOfSubscriptions(on, hundred, LAST_DAY);
    },
    pages: {
      'read-statistics-of-subscriptions-minutes': 5000,
      'read-statistics-of-subscriptions-hours': 5000,
    },
    scans: ['tallies'],
  },
  'which subscriptions stand out': {
    run: async (on) => {
      for (const rank of ['failures', 'attempts'] as const) {
        for (const range of [LAST_HOUR, LAST_DAY]) {
          await rankSubscriptions(on, ALL, rank, range, 50);
          await rankSubscriptions(on, of(7), rank, range, 50);
        }
      }
    },
    pages: {
      'rank-subscriptions-failures-minutes': 10_000,
      'rank-subscriptions-failures-hours': 10_000,
      'rank-subscriptions-attempts-minutes': 15_000,
      'rank-subscriptions-attempts-hours': 60_000,
      'rank-subscriptions-failures-of-tenant-minutes': 3000,
      'rank-subscriptions-failures-of-tenant-hours': 3000,
      'rank-subscriptions-attempts-of-tenant-minutes': 3000,
      'rank-subscriptions-attempts-of-tenant-hours': 3000,
    },
  },
  'which backlogs are oldest': {
    run: async (on) => {
      await oldestBacklogs(on, ALL, 500);
      await oldestBacklogs(on, of(7), 500);
    },
    pages: { 'oldest-backlogs': 40_000, 'oldest-backlogs-of-tenant': 1500 },
    scans: ['flows'],
  },
  'how things stand': {
    run: async (on) => {
      await readStanding(on, ALL, 15_000);
      await readStanding(on, of(7), 15_000);
      await readStandingOf(on, ALL, hundred);
    },
    pages: {
      'read-standing-of-subscriptions': 3000,
      'read-standing': 30_000,
      'read-standing-of-tenant': 15_000,
    },
    scans: ['flows', 'open_deliveries'], // of which it stops at the bound
  },
};

const GROUPS = { HOT, HOUSEKEEPING, REPLAYS, LISTS, STATISTICS };

/** Statements that read none of our tables by a plan. */
const NO_PLAN = ['list-partitions', 'lock-missed', 'read-in-order'];

/** Indexes that no plan here uses, and what they are for. */
const OTHER_INDEXES: Record<string, string> = {
  sessions_key_idx: 'a key that is revoked',
  sessions_tenant_idx: 'a tenant that is deleted',
  subscription_patterns_subscription_idx: 'a subscription that is changed or deleted',
  subscription_secrets_pkey: 'being unique',
};

/** Statements that were explained. */
const known = new Set<string>();

describe.each(Object.entries(GROUPS))('%s', (_group, cases) => {
  it.each(Object.entries(cases))('%s', async (name, { run, pages, scans = [], rows }) => {
    const found = await explained(db, run);
    const isList = typeof pages === 'number';
    for (const [statement, bound] of Object.entries(isList ? { [`list ${name}`]: pages } : pages)) {
      const asked = found.filter((one) => one.name === (isList ? undefined : statement));
      const [first] = asked;
      if (!first) throw new Error(`${statement} was not asked`);
      known.add(statement);
      const whole = ({ readWhole }: Plan) =>
        readWhole.filter((table) => LARGE.has(table) && !scans.includes(table));

      keep(statement, first);
      expect(whole(first)).toEqual([]);
      expect(first.repeated).toEqual([]);
      // A plan is kept by its connection: one that was made at the beginning has to do for a million.
      if (first.isGeneric) expect(whole(await planElsewhere(begun.db, first))).toEqual([]);
      expect(Math.max(...asked.map((one) => one.pages))).toBeLessThanOrEqual(bound);
      if (rows !== undefined) expect(first.rows).toBe(rows);
    }
  });
});

/** Compares a plan with the one that is kept, or keeps it. */
function keep(statement: string, { shape }: Plan): void {
  if (serverVersion !== PLANNED_BY) return;
  const file = path.join(PLANS, fileOf(statement));
  if (IS_UPDATE) fs.writeFileSync(file, shape);
  expect({ statement, plan: shape }).toEqual({
    statement,
    plan: fs.existsSync(file) ? fs.readFileSync(file, 'utf8') : 'none is kept: UPDATE_PLANS=1',
  });
}

function fileOf(statement: string): string {
  return `${statement.replaceAll(/[^A-Za-z0-9]+/g, '-').toLowerCase()}.txt`;
}

describe('the plans that are kept', () => {
  it('are of every statement with a name', () => {
    const source = path.join(import.meta.dirname, '..');
    const named = fs
      .readdirSync(source, { recursive: true, encoding: 'utf8' })
      .filter((file) => file.endsWith('.ts') && !file.endsWith('.spec.ts'))
      .flatMap((file) => [
        ...fs
          .readFileSync(path.join(source, file), 'utf8')
          .matchAll(
            /(?:name: |statement\()['`]([a-z][a-z- ]*)(?:\$\{[^}]*\}[^'`]*)?['`],\s*(?:\/\/.*\s*)*(?:text:|\(param\))/g,
          ),
      ])
      .map(([, name]) => name!);
    expect(named.length).toBeGreaterThan(60);
    const withoutPlan = named.filter((name) => ![...known].some((statement) => statement.startsWith(name)));
    expect(withoutPlan.sort()).toEqual(NO_PLAN);
  });

  it('are of nothing else', () => {
    expect(fs.readdirSync(PLANS).sort()).toEqual([...new Set([...known].map(fileOf))].sort());
  });

  it('use every index there is, so that none can be dropped unnoticed', async () => {
    const text = fs
      .readdirSync(PLANS)
      .map((file) => fs.readFileSync(path.join(PLANS, file), 'utf8'))
      .join('');
    const indexes = await db.query<{ name: string }>({
      text: `
        select c.relname as name from pg_class c join pg_index i on i.indexrelid = c.oid
         where c.relnamespace = 'posthorn'::regnamespace and not c.relispartition and c.relname !~ '^PK_' -- of the migrations
         order by 1`,
    });
    const unused = indexes
      .map((index) => index.name)
      .filter((name) => !new RegExp(`\\b${name}\\b`).test(text));
    expect(unused).toEqual(Object.keys(OTHER_INDEXES).sort());
  });
});
