import { createHash } from 'node:crypto';
import { deliveryBody, patternsMatching, uuidTimeMs } from '@posthorn/core';
import {
  MAX_BATCH_DELIVERIES,
  type Database,
  type EmittedEvent,
  type EmitResult,
  type EventIntake,
  type KeyToTake,
} from '@posthorn/store';
import type { ApiMetrics } from '../http/api-metrics.js';
import { askerOf, tenantFor, type Principal } from '../http/principal.js';
import { ProblemError } from '../http/problem.js';
import type { HintSender } from '../hint-sender.js';
import { newEventUuid } from '../new-uuid.js';
import { readEmission, type Emission, type EmissionLimits } from './read-emission.js';
import { refuseUnknown, type Strictness } from './refuse-unknown.js';

export interface EmitDeps {
  db: Database;
  intake: EventIntake;
  hints: HintSender;
  metrics: Pick<ApiMetrics, 'emitted'>;
  limits: EmissionLimits;
  strict: Strictness;
  externalIdTtlMs: number;
  idempotencyKeyTtlMs: number;
}

export interface EmitInput {
  principal: Principal;
  body: Buffer | undefined;
  idempotencyKey: string | undefined;
  /** On `performance.now()`'s clock: later than this, the answer is that the store is unavailable. */
  answerByMs: number;
}

export interface AcceptedEvent extends EmitResult {
  type: string;
  tenant: string;
}

/**
 * Accepts what a request emits: reads it, refuses it whole if anything in it is wrong, stores it, and only
 * then hints at its deliveries. A lost hint costs time and nothing else.
 *
 * @throws ProblemError for the caller's mistakes, Unavailable when the store cannot take it now
 */
export async function emitEvents(
  deps: EmitDeps,
  input: EmitInput,
): Promise<{ events: AcceptedEvent[]; isBatch: boolean; replayed: boolean }> {
  const { emissions, isBatch } = readEmission(input.body, deps.limits);
  const tenants = emissions.map((emission) => tenantFor(input.principal, emission.tenant));
  await refuseUnknown(deps.db, deps.strict, emissions, tenants, isBatch);
  const nowMs = await deps.db.reliableNowMs();
  const events = emissions.map((emission, index) =>
    prepare(deps, emission, tenants[index] as string, newEventUuid(nowMs)),
  );
  const requestKey: KeyToTake | null =
    input.idempotencyKey === undefined
      ? null
      : {
          digest: sha256('emit', askerOf(input.principal), input.idempotencyKey),
          fingerprint: sha256(input.body ?? ''),
          ttlMs: deps.idempotencyKeyTtlMs,
        };
  const answer = await deps.intake.emit({ events, requestKey }, input.answerByMs - performance.now());
  if ('conflict' in answer) throw reused(answer.conflict.index, isBatch);
  if ('tooWide' in answer) {
    throw new ProblemError(
      'too_many_deliveries',
      `These events would make up to ${answer.tooWide.deliveries} deliveries, and one request may make ${MAX_BATCH_DELIVERIES}: send fewer events at once.`,
    );
  }
  deps.hints.send(answer.deliveryIds);
  deps.metrics.emitted(answer.accepted);
  return {
    events: answer.accepted.map((result, index) => {
      const { type, tenant } = events[index] as EmittedEvent;
      return { ...result, type, tenant };
    }),
    isBatch,
    replayed: answer.replayed,
  };
}

function prepare(deps: EmitDeps, emission: Emission, tenant: string, id: string): EmittedEvent {
  const createdAtMs = uuidTimeMs(id);
  const occurredAt = new Date(emission.timestamp ?? createdAtMs);
  return {
    id,
    tenant,
    type: emission.type,
    patterns: patternsMatching(emission.type),
    externalId: emission.externalId ?? null,
    occurredAt,
    createdAtMs,
    body: deliveryBody(emission.type, occurredAt.toISOString(), emission.data),
    externalKey:
      emission.externalId === undefined
        ? null
        : {
            digest: sha256('external_id', tenant, emission.externalId),
            fingerprint: sha256(emission.type, emission.timestamp ?? '', emission.data),
            ttlMs: deps.externalIdTtlMs,
          },
  };
}

function reused(index: number | null, isBatch: boolean): ProblemError {
  if (index === null) {
    return new ProblemError(
      'idempotency_key_reused',
      'This Idempotency-Key was sent before with another body.',
    );
  }
  const pointer = isBatch ? `#/${index}/externalId` : '#/externalId';
  return new ProblemError(
    'external_id_reused',
    `${pointer} was used before for an event with other content.`,
    {
      errors: [{ pointer, detail: 'was used before for an event with other content' }],
    },
  );
}

/** Of the parts with their lengths, so that no two lists of parts run together into the same bytes. */
function sha256(...parts: (string | Uint8Array)[]): Buffer {
  const hash = createHash('sha256');
  for (const part of parts) {
    hash.update(`${typeof part === 'string' ? Buffer.byteLength(part) : part.length}:`).update(part);
  }
  return hash.digest();
}
