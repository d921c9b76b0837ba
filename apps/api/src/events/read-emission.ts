import { scanEnvelopes } from '@posthorn/core';
import type { z } from 'zod';
import { bodyText, parseJsonText } from '../http/json-body.js';
import { fieldErrors, pointerTo, validationFailed } from '../http/parse.js';
import { ProblemError, type FieldError } from '../http/problem.js';
import { envelope } from './events.schema.js';

export interface Emission {
  type: string;
  tenant: string | undefined;
  externalId: string | undefined;
  /** As the producer wrote it. */
  timestamp: string | undefined;
  /** The value of `data`, byte for byte. */
  data: Uint8Array;
}

export interface EmissionLimits {
  maxBatchEvents: number;
  maxPayloadBytes: number;
}

/**
 * What a request to emit asks for, in its order, or every reason to refuse it. `isBatch`: it was an array.
 *
 * `data` is cut out of the accepted text and never printed anew. A member that an envelope has twice is
 * refused, because parsers disagree on which of the two counts; what is inside `data` is the producer's.
 */
export function readEmission(
  body: Buffer | undefined,
  limits: EmissionLimits,
): { emissions: Emission[]; isBatch: boolean } {
  const value = parseJsonText(bodyText(body));
  const text = body as Buffer; // bodyText refused an absent one
  const isBatch = Array.isArray(value);
  const envelopes: unknown[] = isBatch ? value : [value];
  if (isBatch && (envelopes.length === 0 || envelopes.length > limits.maxBatchEvents)) {
    throw validationFailed([
      { pointer: '#', detail: `must have 1 to ${limits.maxBatchEvents} events, not ${envelopes.length}` },
    ]);
  }
  const rootOf = (index: number): string => (isBatch ? `#/${index}` : '#');

  const parsed: z.output<typeof envelope>[] = [];
  const errors: FieldError[] = [];
  envelopes.forEach((candidate, index) => {
    const result = envelope.safeParse(candidate);
    if (result.success) parsed.push(result.data);
    // One by one: there can be more of them than a call takes arguments.
    else for (const error of underRoot(fieldErrors(result.error.issues), rootOf(index))) errors.push(error);
  });
  const scan = scanEnvelopes(text);
  if ('duplicateKey' in scan) {
    const error = { pointer: pointerTo([scan.duplicateKey]), detail: 'stands there twice' };
    errors.push(...underRoot([error], rootOf(scan.index)));
  } else if (errors.length === 0) {
    scan.spans.forEach((span, index) => {
      if (!span.data) errors.push({ pointer: `${rootOf(index)}/data`, detail: 'is required' });
    });
  }
  if (errors.length > 0 || 'duplicateKey' in scan) throw validationFailed(errors);

  const emissions = parsed.map((given, index) => {
    const span = scan.spans[index]?.data ?? { start: 0, end: 0 };
    return {
      type: given.type,
      tenant: given.tenant,
      externalId: given.externalId,
      timestamp: given.timestamp,
      data: text.subarray(span.start, span.end),
    };
  });
  refuseLargePayloads(emissions, limits.maxPayloadBytes, rootOf);
  return { emissions, isBatch };
}

function refuseLargePayloads(
  emissions: readonly Emission[],
  maxBytes: number,
  rootOf: (index: number) => string,
): void {
  const errors = emissions.flatMap(({ data }, index) =>
    data.length > maxBytes
      ? [
          {
            pointer: `${rootOf(index)}/data`,
            detail: `has ${data.length} bytes; at most ${maxBytes} are allowed`,
          },
        ]
      : [],
  );
  const [first] = errors;
  if (first) throw new ProblemError('payload_too_large', `${first.pointer} ${first.detail}.`, { errors });
}

function underRoot(errors: readonly FieldError[], root: string): FieldError[] {
  return errors.map((error) => ({ ...error, pointer: root + error.pointer.slice(1) }));
}
