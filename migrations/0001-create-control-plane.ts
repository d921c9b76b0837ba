import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * What people manage: tenants, event types, API keys, subscriptions with their secrets and patterns.
 *
 * Few rows, read by key, changed by hand: foreign keys are kept here because they cost nothing that
 * matters and say what belongs to what. The data plane (0002) has none.
 *
 * Lock: only new objects. Old code: none runs yet.
 */
export class CreateControlPlane implements MigrationInterface {
  readonly name = 'create-control-plane-0000000000001';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      create table posthorn.tenants (
        id         text primary key,
        name       text,
        metadata   jsonb       not null default '{}',
        created_at timestamptz not null default now(),
        updated_at timestamptz not null default now(),
        constraint tenants_id_format check (id ~ '^[A-Za-z0-9][A-Za-z0-9_.-]{0,127}$')
      )`);

    await runner.query(`create index tenants_created_idx on posthorn.tenants (created_at, id)`);

    await runner.query(`
      create table posthorn.event_types (
        name        text primary key,
        description text,
        schema      json,
        example     json,
        created_at  timestamptz not null default now(),
        updated_at  timestamptz not null default now(),
        constraint event_types_name_format
          check (length(name) <= 128 and name ~ '^[A-Za-z0-9_-]+([.][A-Za-z0-9_-]+)*$')
      )`);

    await runner.query(`create index event_types_created_idx on posthorn.event_types (created_at, name)`);

    await runner.query(`
      create table posthorn.api_keys (
        id           uuid primary key,
        name         text,
        tenant       text references posthorn.tenants (id) on delete cascade,
        scopes       text[]      not null,
        secret_hash  bytea       not null,
        created_at   timestamptz not null default now(),
        last_used_at timestamptz,
        constraint api_keys_scopes_known check (
          cardinality(scopes) > 0 and scopes <@ array['events:write', 'events:read', 'subscriptions:read',
            'subscriptions:write', 'secrets:read', 'deliveries:read', 'deliveries:write', 'admin']),
        constraint api_keys_hash_length check (length(secret_hash) = 32)
      )`);
    await runner.query(`create index api_keys_tenant_idx on posthorn.api_keys (tenant, id)`);

    // A deleted subscription stays as a tombstone (deleted_at), so that the log can still name it;
    // its secrets, patterns and flow go at once. backlog_cancelled_at says that nothing of it is open any more.
    await runner.query(`
      create table posthorn.subscriptions (
        id                   uuid primary key,
        tenant               text        not null,
        url                  text        not null,
        event_types          text[]      not null,
        description          text,
        headers              jsonb       not null default '{}',
        metadata             jsonb       not null default '{}',
        timeout_ms           integer,
        retry                jsonb,
        created_at           timestamptz not null default now(),
        updated_at           timestamptz not null default now(),
        deleted_at           timestamptz,
        backlog_cancelled_at timestamptz,
        constraint subscriptions_event_types_given check (cardinality(event_types) between 1 and 100),
        constraint subscriptions_timeout_bounds check (timeout_ms between 1000 and 30000),
        constraint subscriptions_cancelled_after_deleted check (backlog_cancelled_at is null or deleted_at is not null)
      )`);
    await runner.query(
      `create index subscriptions_tenant_idx on posthorn.subscriptions (tenant, id) where deleted_at is null`,
    );
    // Lists of all tenants do not wade through tombstones.
    await runner.query(
      `create index subscriptions_live_idx on posthorn.subscriptions (id) where deleted_at is null`,
    );
    await runner.query(`
      create index subscriptions_to_cancel_idx on posthorn.subscriptions (deleted_at)
       where deleted_at is not null and backlog_cancelled_at is null`);

    await runner.query(`
      create table posthorn.subscription_secrets (
        id              uuid primary key,
        subscription_id uuid        not null references posthorn.subscriptions (id) on delete cascade,
        sealed          bytea       not null,
        created_at      timestamptz not null default now(),
        expires_at      timestamptz
      )`);
    await runner.query(`
      create index subscription_secrets_subscription_idx
          on posthorn.subscription_secrets (subscription_id, created_at)`);

    // One row per pattern, so that "who wants this event" is a few index probes inside the accepting
    // statement instead of a cache that could be wrong.
    await runner.query(`
      create table posthorn.subscription_patterns (
        tenant          text not null,
        pattern         text not null,
        subscription_id uuid not null references posthorn.subscriptions (id) on delete cascade,
        primary key (tenant, pattern, subscription_id)
      )`);
    await runner.query(`
      create index subscription_patterns_subscription_idx
          on posthorn.subscription_patterns (subscription_id)`);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`
      drop table posthorn.subscription_patterns, posthorn.subscription_secrets, posthorn.subscriptions,
                 posthorn.api_keys, posthorn.event_types, posthorn.tenants`);
  }
}
