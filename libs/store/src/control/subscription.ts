import { Column, Entity, PrimaryColumn } from 'typeorm';
import type { RateLimit, RetryPolicy } from '@posthorn/core';

/** `fifo`: one delivery at a time, in the order in which their events were accepted. */
export type Ordering = 'none' | 'fifo';

/** `block`: it is paused until a person decides. `skip`: it goes on with the next. */
export type OnExhausted = 'block' | 'skip';

/**
 * A row of `posthorn.subscriptions`: where a tenant's events go, and how. What may be sent right now
 * (state, holds) is in `posthorn.flows`, which the data plane writes; see subscription-flow.ts. Limits and
 * order are repeated there, because the claim reads nothing else.
 *
 * A deleted subscription stays as a tombstone, so that the log can name it; every read here leaves it out.
 */
@Entity({ schema: 'posthorn', name: 'subscriptions', synchronize: false })
export class Subscription {
  @PrimaryColumn('uuid')
  id!: string;

  /** Never changes: sealed values are bound to it. */
  @Column('text')
  tenant!: string;

  @Column('text')
  url!: string;

  /** Exact names, `prefix.*` or `*`, in the order they were given; repeated in subscription_patterns. */
  @Column('text', { name: 'event_types', array: true })
  eventTypes!: string[];

  @Column('text', { nullable: true })
  description!: string | null;

  /** Header name → base64 of its sealed value (context: `sealedHeaderContext`). */
  @Column('jsonb')
  headers!: Record<string, string>;

  @Column('jsonb')
  metadata!: Record<string, string>;

  /** Deadline of an attempt; null: the deployment's. Repeated in flows for the claim. */
  @Column('integer', { name: 'timeout_ms', nullable: true })
  timeoutMs!: number | null;

  /** null: the deployment's policy. */
  @Column('jsonb', { nullable: true })
  retry!: RetryPolicy | null;

  /** Most attempts at once, over all workers; null: the deployment's. */
  @Column('integer', { name: 'max_in_flight', nullable: true })
  maxInFlight!: number | null;

  /** null: as fast as it answers. */
  @Column('jsonb', { name: 'rate_limit', nullable: true })
  rateLimit!: RateLimit | null;

  @Column('text', { default: 'none' })
  ordering!: Ordering;

  /** What becomes of a fifo subscription whose head is exhausted. */
  @Column('text', { name: 'on_exhausted', default: 'block' })
  onExhausted!: OnExhausted;

  @Column('timestamptz', { name: 'created_at', default: () => 'now()' })
  createdAt!: Date;

  @Column('timestamptz', { name: 'updated_at', default: () => 'now()' })
  updatedAt!: Date;

  @Column('timestamptz', { name: 'deleted_at', nullable: true })
  deletedAt!: Date | null;
}
