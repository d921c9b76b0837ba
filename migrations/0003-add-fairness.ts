import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * Limits, order, the life-cycle of a failing subscription, replays, and clocks for what is kept.
 *
 * - A flow now says how much may be sent: limits, pace (`rate_tat`, the theoretical arrival time of GCRA), what is
 *   in flight, how the latest attempts went, and when its backlog can be served next (`ready_at`).
 * - A delivery knows its lane (0 first attempt, 1 retry, 2 replay) and a number drawn when it was inserted
 *   (`sequence`), which is the order of a fifo subscription. Both stay what they are in a claim, so that claiming
 *   remains a HOT update.
 * - Bodies of answers move to partitions of their own, so that they can be kept for a shorter time than the log.
 *
 * Lock: every table exclusively, for moments on a fresh deployment; adding the two columns of open_deliveries rewrites
 * that table, which is small. Old code: must be stopped; it does not know the new columns of what it counts.
 */
export class AddFairness implements MigrationInterface {
  readonly name = 'add-fairness-0000000000003';

  async up(runner: QueryRunner): Promise<void> {
    // Posthorn's own events belong to a tenant whose id no producer can choose.
    await runner.query(`
      alter table posthorn.tenants
        drop constraint tenants_id_format,
        add constraint tenants_id_format check (id = '_system' or id ~ '^[A-Za-z0-9][A-Za-z0-9_.-]{0,127}$'),
        add column payload_retention_ms bigint,
        add column served_at timestamptz not null default '-infinity',
        add constraint tenants_payload_retention_positive check (payload_retention_ms > 0)`);
    await runner.query(
      `insert into posthorn.tenants (id, name) values ('_system', 'Posthorn''s own events')`,
    );

    await runner.query(`
      alter table posthorn.subscriptions
        add column max_in_flight integer,
        add column rate_limit    jsonb,
        add column ordering      text not null default 'none',
        add column on_exhausted  text not null default 'block',
        add constraint subscriptions_max_in_flight_bounds check (max_in_flight between 1 and 10000),
        add constraint subscriptions_ordering_known check (ordering in ('none', 'fifo')),
        add constraint subscriptions_on_exhausted_known check (on_exhausted in ('block', 'skip'))`);

    await runner.query(`drop index posthorn.flows_backlogged_idx`);
    await runner.query(`
      alter table posthorn.flows
        drop column served_at,
        add column max_in_flight      integer,
        add column rate_count         integer,
        add column rate_per_ms        integer,
        add column rate_tat           timestamptz not null default '-infinity',
        add column fifo               boolean     not null default false,
        add column blocks_on_exhausted boolean    not null default false,
        add column in_flight          integer     not null default 0,
        add column ramp               integer     not null default 10,
        add column ramp_grown_at      timestamptz not null default '-infinity',
        add column failures           integer     not null default 0,
        add column failing_since      timestamptz,
        add column last_success_at    timestamptz,
        add column probe_step         integer     not null default 0,
        add column mean_ms            real,
        add column ready_at           timestamptz not null default 'infinity',
        add column served             bigint      not null default 0,
        drop constraint flows_state_known,
        drop constraint flows_hold_known,
        add constraint flows_state_known check (state in ('active', 'failing', 'held', 'paused', 'disabled')),
        add constraint flows_hold_known check (hold_reason in ('retry_after', 'gone', 'failing')),
        add constraint flows_limits_positive check (max_in_flight > 0 and rate_count > 0 and rate_per_ms > 0),
        add constraint flows_rate_whole check ((rate_count is null) = (rate_per_ms is null)),
        add constraint flows_counts_not_negative
          check (in_flight >= 0 and ramp > 0 and failures >= 0 and probe_step >= 0)`);
    // What was held for 410 is now a state; what is in flight is counted; every backlog is looked at once.
    await runner.query(`
      update posthorn.flows set state = 'held', state_reason = 'gone', state_since = gone_at
       where hold_reason = 'gone' and state = 'active'`);
    await runner.query(`
      update posthorn.flows set hold_until = null, hold_reason = null, gone_at = null
       where hold_reason = 'gone' and state <> 'held'`);
    await runner.query(`
      alter table posthorn.flows add constraint flows_held_iff_probed check (
        (state = 'held') = coalesce(hold_reason in ('gone', 'failing'), false))`);
    await runner.query(`
      update posthorn.flows f set in_flight = d.count
        from (select subscription_id, count(*) as count from posthorn.open_deliveries
               where state = 'in_flight' group by subscription_id) d
       where d.subscription_id = f.subscription_id`);
    await runner.query(`update posthorn.flows set ready_at = now() where backlogged`);
    // Only what can be served at a known time; what waits for a person is not in it.
    await runner.query(`
      create index flows_ready_idx on posthorn.flows (ready_at) where ready_at < 'infinity'`);
    // "Which are held?" reads those, not every subscription there is.
    await runner.query(`
      create index flows_state_idx on posthorn.flows (state, subscription_id) where state <> 'active'`);

    await runner.query(`create sequence posthorn.delivery_sequence`);
    await runner.query(`
      alter table posthorn.open_deliveries
        add column lane      smallint not null default 0,
        add column sequence  bigint   not null default nextval('posthorn.delivery_sequence'),
        add column replay_id uuid,
        add constraint open_deliveries_lane_known check (lane between 0 and 2),
        add constraint open_deliveries_replay_has_lane check (replay_id is null or lane = 2)`);
    await runner.query(`drop index posthorn.open_deliveries_parked_idx`);
    // The backlog of a subscription, lane by lane, longest due first.
    await runner.query(`
      create index open_deliveries_backlog_idx on posthorn.open_deliveries (subscription_id, lane, due_at)`);
    // The head of a fifo subscription.
    await runner.query(`
      create index open_deliveries_sequence_idx on posthorn.open_deliveries (subscription_id, sequence)`);

    await runner.query(`
      alter table posthorn.deliveries
        add column replay_id uuid,
        drop constraint deliveries_reason_fits_state,
        add constraint deliveries_reason_fits_state check (
          case state
            when 'exhausted' then coalesce(reason in ('no_retries_left', 'lost_repeatedly', 'internal_error'), false)
            when 'cancelled' then
              coalesce(reason in ('cancelled_by_request', 'subscription_deleted', 'payload_erased'), false)
            else reason is null
          end)`);

    await runner.query(`alter table posthorn.events
        add column payload_erased_at timestamptz,
        add column is_test boolean not null default false`);
    // Few: what an attempt that was on the wire brought back is erased after it too.
    await runner.query(`
      create index events_payload_erased_idx on posthorn.events (payload_erased_at, id)
       where payload_erased_at is not null`);
    await runner.query(`
      create index tenants_payload_retention_idx on posthorn.tenants (id) where payload_retention_ms is not null`);

    await runner.query(`
      create table posthorn.response_bodies (
        delivery_id uuid    not null,
        number      integer not null,
        body        bytea   not null,
        primary key (delivery_id, number)
      ) partition by range (delivery_id)`);
    await runner.query(`
      do $$
      declare part record;
      begin
        for part in select c.relname as name, pg_get_expr(c.relpartbound, c.oid) as bound
                      from pg_inherits i join pg_class c on c.oid = i.inhrelid
                     where i.inhparent = 'posthorn.attempts'::regclass
        loop
          execute format('create table posthorn.%I partition of posthorn.response_bodies %s',
                         replace(part.name, 'attempts_', 'response_bodies_'), part.bound);
        end loop;
      end $$`);
    await runner.query(`
      insert into posthorn.response_bodies (delivery_id, number, body)
      select delivery_id, number, response_body from posthorn.attempts where length(response_body) > 0`);
    await runner.query(`alter table posthorn.attempts drop column response_body`);

    // Whoever scrapes the metrics of an api needs a key for that and for nothing else.
    await runner.query(`
      alter table posthorn.api_keys
        drop constraint api_keys_scopes_known,
        add constraint api_keys_scopes_known check (
          cardinality(scopes) > 0 and scopes <@ array['events:write', 'events:read', 'subscriptions:read',
            'subscriptions:write', 'secrets:read', 'deliveries:read', 'deliveries:write', 'metrics:read', 'admin'])`);

    // phase and position: how far it has walked. selected counts what matched at the start, opened what was made due
    // of it. settled: nothing of it is open any more, so that nobody needs to look at it again.
    await runner.query(`
      create table posthorn.replays (
        id                uuid        not null primary key,
        tenant            text,
        filter            jsonb       not null,
        state             text        not null default 'running',
        phase             text        not null default 'log',
        position          uuid,
        selected          bigint      not null default 0,
        is_more           boolean     not null default false,
        opened            bigint      not null default 0,
        succeeded         bigint      not null default 0,
        failed            bigint      not null default 0,
        settled           boolean     not null default false,
        created_at        timestamptz not null default now(),
        finished_at       timestamptz,
        constraint replays_state_known check (state in ('running', 'finished', 'cancelled')),
        constraint replays_phase_known check (phase in ('log', 'missed', 'walked')),
        constraint replays_finished_iff_not_running check ((state = 'running') = (finished_at is null)),
        constraint replays_settled_after_running check (not settled or state <> 'running'),
        constraint replays_counts_not_negative
          check (selected >= 0 and opened >= 0 and succeeded >= 0 and failed >= 0)
      ) with (fillfactor = 50)`);
    await runner.query(`create index replays_tenant_idx on posthorn.replays (tenant, id)`);
    await runner.query(`create index replays_unsettled_idx on posthorn.replays (id) where not settled`);
    // What a replay has open: only its own rows are in it.
    await runner.query(`
      create index open_deliveries_replay_idx on posthorn.open_deliveries (replay_id, id)
       where replay_id is not null`);
    // As what a replay found it: cancelled, it gives it back as it was.
    await runner.query(`
      alter table posthorn.open_deliveries
        add column found_state  text,
        add column found_reason text,
        add constraint open_deliveries_found_by_a_replay check (
          found_state is null or (replay_id is not null
            and found_state in ('succeeded', 'exhausted', 'cancelled', 'expired')))`);
    // A replay of what failed must not wade through what succeeded. Few rows, so dear to nobody.
    await runner.query(`
      create index deliveries_failed_subscription_idx on posthorn.deliveries (subscription_id, id)
       where state <> 'succeeded'`);
    await runner.query(`
      create index deliveries_failed_tenant_idx on posthorn.deliveries (tenant, id)
       where state <> 'succeeded'`);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`
      alter table posthorn.api_keys
        drop constraint api_keys_scopes_known,
        add constraint api_keys_scopes_known check (
          cardinality(scopes) > 0 and scopes <@ array['events:write', 'events:read', 'subscriptions:read',
            'subscriptions:write', 'secrets:read', 'deliveries:read', 'deliveries:write', 'admin'])`);
    await runner.query(`alter table posthorn.attempts add column response_body bytea`);
    await runner.query(`
      update posthorn.attempts a set response_body = b.body
        from posthorn.response_bodies b where b.delivery_id = a.delivery_id and b.number = a.number`);
    await runner.query(`drop table posthorn.replays, posthorn.response_bodies`);
    await runner.query(
      `drop index posthorn.deliveries_failed_subscription_idx, posthorn.deliveries_failed_tenant_idx`,
    );
    await runner.query(`
      alter table posthorn.open_deliveries
        drop column found_state, drop column found_reason`);
    await runner.query(`alter table posthorn.events drop column payload_erased_at, drop column is_test`);
    await runner.query(`
      alter table posthorn.deliveries
        drop column replay_id,
        drop constraint deliveries_reason_fits_state,
        add constraint deliveries_reason_fits_state check (
          case state
            when 'exhausted' then coalesce(reason in ('no_retries_left', 'lost_repeatedly', 'internal_error'), false)
            when 'cancelled' then coalesce(reason in ('cancelled_by_request', 'subscription_deleted'), false)
            else reason is null
          end)`);
    await runner.query(
      `drop index posthorn.open_deliveries_backlog_idx, posthorn.open_deliveries_sequence_idx`,
    );
    await runner.query(`
      alter table posthorn.open_deliveries drop column lane, drop column sequence, drop column replay_id`);
    await runner.query(`drop sequence posthorn.delivery_sequence`);
    await runner.query(`
      create index open_deliveries_parked_idx on posthorn.open_deliveries (subscription_id, due_at)
       where offer_at = 'infinity'`);
    await runner.query(`drop index posthorn.flows_ready_idx, posthorn.flows_state_idx`);
    await runner.query(`alter table posthorn.flows drop constraint flows_held_iff_probed`);
    await runner.query(`
      update posthorn.flows
         set state = 'active', state_reason = null,
             hold_until = case when hold_reason <> 'failing' then hold_until end,
             hold_reason = case when hold_reason <> 'failing' then hold_reason end
       where state in ('failing', 'held')`);
    await runner.query(`
      alter table posthorn.flows
        drop constraint flows_state_known,
        drop constraint flows_hold_known,
        drop constraint flows_limits_positive,
        drop constraint flows_rate_whole,
        drop constraint flows_counts_not_negative,
        drop column max_in_flight, drop column rate_count, drop column rate_per_ms, drop column rate_tat,
        drop column fifo, drop column blocks_on_exhausted, drop column in_flight, drop column ramp,
        drop column ramp_grown_at, drop column failures, drop column failing_since, drop column last_success_at,
        drop column probe_step, drop column mean_ms, drop column ready_at, drop column served,
        add column served_at timestamptz not null default '-infinity',
        add constraint flows_state_known check (state in ('active', 'paused', 'disabled')),
        add constraint flows_hold_known check (hold_reason in ('retry_after', 'gone'))`);
    await runner.query(`create index flows_backlogged_idx on posthorn.flows (served_at) where backlogged`);
    await runner.query(`
      alter table posthorn.subscriptions
        drop column max_in_flight, drop column rate_limit, drop column ordering, drop column on_exhausted`);
    await runner.query(`delete from posthorn.tenants where id = '_system'`);
    await runner.query(`
      alter table posthorn.tenants
        drop column payload_retention_ms, drop column served_at,
        drop constraint tenants_id_format,
        add constraint tenants_id_format check (id ~ '^[A-Za-z0-9][A-Za-z0-9_.-]{0,127}$')`);
  }
}
