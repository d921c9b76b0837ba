import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * Events, deliveries and attempts: the part that is written thousands of times a second.
 *
 * - Unfinished deliveries live in `open_deliveries`, small and unpartitioned; finishing moves the row to
 *   the partitioned log `deliveries`. No index, and no index predicate, is on a column that a claim
 *   changes (state, attempt_number, leased_at, lease_until), so that claiming stays a HOT update; fillfactor 60
 *   leaves room for it.
 * - Events, payloads, deliveries and attempts are cut into daily partitions by id: ids begin with the
 *   time of their event, so a day is an id range and retention is dropping a table.
 * - No foreign keys: two of them cost 9.1 against 2.2 µs a row, and block dropping partitions.
 * - The CHECK constraints repeat the life-cycle of docs/lifecycle.md, so that no code and no psql session
 *   can write a state that the rules do not know.
 *
 * Lock: only new objects. Old code: none runs yet.
 */
export class CreateDataPlane implements MigrationInterface {
  readonly name = 'create-data-plane-0000000000002';

  async up(runner: QueryRunner): Promise<void> {
    // The smallest uuid whose first 48 bits are that millisecond: the bound of a partition or time range.
    await runner.query(`
      create function posthorn.first_uuid_at(at timestamptz) returns uuid
      language sql immutable strict parallel safe
      return (lpad(to_hex(floor(extract(epoch from at) * 1000)::bigint), 12, '0') || repeat('0', 20))::uuid`);

    // A UUIDv8 of the event's millisecond and a hash of the pair: the primary key is the uniqueness of the
    // pair, and all deliveries of an event lie side by side. One expression, so that it is inlined.
    await runner.query(`
      create function posthorn.delivery_id(event_id uuid, subscription_id uuid) returns uuid
      language sql immutable strict parallel safe
      return overlay(overlay(overlay(
        left(encode(sha256(uuid_send(event_id) || uuid_send(subscription_id)), 'hex'), 32)
          placing left(replace(event_id::text, '-', ''), 12) from 1)
          placing '8' from 13)
          placing 'a' from 17)::uuid`);

    await runner.query(`
      create table posthorn.events (
        id                    uuid        not null primary key,
        tenant                text        not null,
        type                  text        not null,
        external_id           text,
        occurred_at           timestamptz not null,
        matched_subscriptions integer     not null
      ) partition by range (id)`);
    await runner.query(`create index events_tenant_idx on posthorn.events (tenant, id)`);
    await runner.query(`create index events_type_idx on posthorn.events (type, id)`);
    await runner.query(`
      create index events_external_id_idx on posthorn.events (external_id, id) where external_id is not null`);

    // The bytes a subscriber gets, once per event: bytea, never json, because json would change them.
    await runner.query(`
      create table posthorn.payloads (
        event_id uuid  not null primary key,
        body     bytea not null
      ) partition by range (event_id)`);

    await runner.query(`
      create table posthorn.open_deliveries (
        id               uuid        not null primary key,
        event_id         uuid        not null,
        subscription_id  uuid        not null,
        tenant           text        not null,
        event_type       text        not null,
        payload_bytes    integer     not null,
        state            text        not null default 'pending',
        trigger          text        not null default 'schedule',
        due_at           timestamptz not null,
        offer_at         timestamptz not null,
        leased_at        timestamptz,
        lease_until      timestamptz,
        attempt_number   integer     not null default 0,
        retry_step       integer     not null default 0,
        lost_run         integer     not null default 0,
        restore_state    text,
        restore_reason   text,
        last_outcome     text,
        last_status_code smallint,
        status_class     smallint,
        constraint open_deliveries_state_known check (state in ('pending', 'in_flight')),
        constraint open_deliveries_trigger_known check (trigger in ('schedule', 'resend', 'test')),
        constraint open_deliveries_leased_iff_in_flight check (
          (state = 'in_flight') = (lease_until is not null) and (state = 'in_flight') = (leased_at is not null)),
        constraint open_deliveries_in_flight_has_number check (state = 'pending' or attempt_number > 0),
        constraint open_deliveries_counts_not_negative
          check (attempt_number >= 0 and retry_step >= 0 and lost_run >= 0),
        constraint open_deliveries_restores_a_finished_state check (
          restore_state is null
          or (trigger = 'resend' and restore_state in ('succeeded', 'exhausted', 'cancelled', 'expired')))
      ) with (fillfactor = 60, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 1000,
              autovacuum_vacuum_cost_delay = 0, autovacuum_analyze_scale_factor = 0.05)`);
    await runner.query(`create index open_deliveries_offer_idx on posthorn.open_deliveries (offer_at)`);
    // Parked: refused because their subscription was paused, disabled or held; picked from here when it is not.
    await runner.query(`
      create index open_deliveries_parked_idx on posthorn.open_deliveries (subscription_id, due_at)
       where offer_at = 'infinity'`);
    await runner.query(`
      create index open_deliveries_subscription_idx on posthorn.open_deliveries (subscription_id, id)`);
    await runner.query(`create index open_deliveries_tenant_idx on posthorn.open_deliveries (tenant, id)`);
    await runner.query(
      `create index open_deliveries_event_type_idx on posthorn.open_deliveries (event_type, id)`,
    );
    await runner.query(`
      create index open_deliveries_status_class_idx on posthorn.open_deliveries (status_class, id)
       where status_class is not null`);

    await runner.query(`
      create table posthorn.deliveries (
        id               uuid        not null primary key,
        event_id         uuid        not null,
        subscription_id  uuid        not null,
        tenant           text        not null,
        event_type       text        not null,
        payload_bytes    integer     not null,
        state            text        not null,
        reason           text,
        finished_at      timestamptz not null,
        attempt_number   integer     not null,
        last_outcome     text,
        last_status_code smallint,
        status_class     smallint,
        constraint deliveries_state_known check (state in ('succeeded', 'exhausted', 'cancelled', 'expired')),
        constraint deliveries_reason_fits_state check (
          case state
            when 'exhausted' then coalesce(reason in ('no_retries_left', 'lost_repeatedly', 'internal_error'), false)
            when 'cancelled' then coalesce(reason in ('cancelled_by_request', 'subscription_deleted'), false)
            else reason is null
          end)
      ) partition by range (id)`);
    await runner.query(`create index deliveries_tenant_idx on posthorn.deliveries (tenant, id)`);
    await runner.query(
      `create index deliveries_subscription_idx on posthorn.deliveries (subscription_id, id)`,
    );
    await runner.query(`create index deliveries_event_type_idx on posthorn.deliveries (event_type, id)`);
    // Nearly everything succeeds with 2xx: these two stay small, and the others serve the rest.
    await runner.query(`
      create index deliveries_state_idx on posthorn.deliveries (state, id) where state <> 'succeeded'`);
    await runner.query(`
      create index deliveries_status_class_idx on posthorn.deliveries (status_class, id) where status_class <> 2`);

    await runner.query(`
      create table posthorn.attempts (
        delivery_id        uuid        not null,
        number             integer     not null,
        trigger            text        not null,
        outcome            text        not null,
        error_code         text,
        error_detail       text,
        status_code        smallint,
        started_at         timestamptz not null,
        duration_ms        real,
        dns_ms             real,
        connect_ms         real,
        tls_ms             real,
        first_byte_ms      real,
        address            text,
        url                text,
        request_headers    json,
        response_headers   json,
        response_body      bytea,
        response_truncated boolean     not null default false,
        primary key (delivery_id, number),
        constraint attempts_trigger_known check (trigger in ('schedule', 'resend', 'test')),
        constraint attempts_outcome_known
          check (outcome in ('accepted', 'gone', 'rejected', 'unreachable', 'blocked', 'lost')),
        constraint attempts_answered_iff_status check (
          (outcome in ('accepted', 'gone', 'rejected')) = (status_code is not null))
      ) partition by range (delivery_id)`);

    // What a subscription may do right now. version counts changes of its configuration, so that a worker
    // knows exactly when its copy is out of date; served_at orders the picking of backlogs.
    await runner.query(`
      create table posthorn.flows (
        subscription_id uuid        not null primary key,
        tenant          text        not null,
        version         integer     not null default 1,
        timeout_ms      integer,
        state           text        not null default 'active',
        state_reason    text,
        state_since     timestamptz not null default now(),
        hold_until      timestamptz,
        hold_reason     text,
        gone_at         timestamptz,
        backlogged      boolean     not null default false,
        served_at       timestamptz not null default '-infinity',
        constraint flows_state_known check (state in ('active', 'paused', 'disabled')),
        constraint flows_hold_known check (hold_reason in ('retry_after', 'gone')),
        constraint flows_held_for_a_reason check ((hold_until is null) = (hold_reason is null)),
        constraint flows_gone_is_held check ((gone_at is not null) = coalesce(hold_reason = 'gone', false))
      ) with (fillfactor = 60)`);
    await runner.query(`
      create index flows_backlogged_idx on posthorn.flows (served_at) where backlogged`);

    // One unpartitioned table for every key that makes a repeat harmless, because its uniqueness has to
    // hold across days. digest covers kind, scope and key; response is sealed where it may hold a secret.
    await runner.query(`
      create table posthorn.idempotency_keys (
        digest      bytea       not null primary key,
        fingerprint bytea       not null,
        response    bytea,
        expires_at  timestamptz not null,
        constraint idempotency_keys_lengths check (length(digest) = 32 and length(fingerprint) = 32)
      )`);
    await runner.query(`create index idempotency_keys_expires_idx on posthorn.idempotency_keys (expires_at)`);

    // Who does the housekeeping: one row per duty, held until a time on the database's clock.
    await runner.query(`
      create table posthorn.holders (
        duty       text        not null primary key,
        holder     text        not null,
        expires_at timestamptz not null
      )`);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`
      drop table posthorn.holders, posthorn.idempotency_keys, posthorn.flows, posthorn.attempts,
                 posthorn.deliveries, posthorn.open_deliveries, posthorn.payloads, posthorn.events`);
    await runner.query(`drop function posthorn.delivery_id(uuid, uuid), posthorn.first_uuid_at(timestamptz)`);
  }
}
