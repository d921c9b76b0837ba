import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * Who is signed in: one-time links, sessions of the dashboard, and sessions of a tenant's portal.
 *
 * A session has what its key had when it was made, and ends with it: revoking a key, or deleting a tenant, ends
 * what hangs on it at once. What it may do is kept with it, so that finding out who asks reads one row.
 *
 * Lock: only a new object; `api_keys` and `tenants` for a moment, for the references. Old code: does not look at it.
 */
export class AddSessions implements MigrationInterface {
  readonly name = 'add-sessions-0000000000004';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      create table posthorn.sessions (
        id          uuid        not null primary key,
        kind        text        not null,
        key_id      uuid        not null references posthorn.api_keys (id) on delete cascade,
        tenant      text        references posthorn.tenants (id) on delete cascade,
        scopes      text[]      not null,
        secret_hash bytea       not null,
        portal      jsonb,
        created_at  timestamptz not null default now(),
        expires_at  timestamptz not null,
        constraint sessions_kind_known check (kind in ('sign_in', 'dashboard', 'portal')),
        constraint sessions_scopes_given check (cardinality(scopes) > 0),
        constraint sessions_hash_length check (length(secret_hash) = 32),
        constraint sessions_portal_of_a_tenant check ((kind = 'portal') = (portal is not null)
          and (kind <> 'portal' or tenant is not null))
      )`);
    await runner.query(`create index sessions_key_idx on posthorn.sessions (key_id)`);
    await runner.query(
      `create index sessions_tenant_idx on posthorn.sessions (tenant) where tenant is not null`,
    );
    await runner.query(`create index sessions_expires_idx on posthorn.sessions (expires_at)`);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`drop table posthorn.sessions`);
  }
}
