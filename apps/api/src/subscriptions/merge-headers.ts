import { checkCustomHeaders } from '@posthorn/core';
import { pointerTo, validationFailed } from '../http/parse.js';
import type { FieldError } from '../http/problem.js';
import { REDACTED } from './subscriptions.schema.js';

/** Stands for a value that was checked when it was stored; it is not opened just to be checked again. */
const CHECKED_BEFORE = 'x';

/**
 * The sealed headers that `patch` makes of the `stored` ones (RFC 7396): null removes one, or all of them,
 * and the value a header is shown as keeps what is stored. Names are matched without their case, as HTTP has
 * it. Throws `validation_failed` with a pointer to each header that is not allowed.
 *
 * @param seal makes of a value what is stored for a header of that name
 */
export function mergeHeaders(
  stored: Readonly<Record<string, string>>,
  patch: Readonly<Record<string, string | null>> | null,
  seal: (name: string, value: string) => string,
): Record<string, string> {
  const kept = new Map(
    Object.entries(patch === null ? {} : stored).map(([name, sealed]) => [
      name.toLowerCase(),
      { name, sealed },
    ]),
  );
  const given = Object.entries(patch ?? {});
  const fresh = new Map<string, string>();
  const seen = new Set<string>();
  const errors: FieldError[] = [];
  for (const [name, value] of given) {
    const key = name.toLowerCase();
    if (seen.has(key)) errors.push(problem(name, 'is given twice; case makes no difference'));
    else if (value === REDACTED && !kept.has(key)) {
      errors.push(problem(name, `is ${REDACTED}, which keeps a stored value, and there is none`));
    }
    seen.add(key);
    if (value === REDACTED) continue;
    kept.delete(key);
    if (value !== null) fresh.set(name, value);
  }
  if (errors.length === 0) errors.push(...checkAll([...kept.values()], fresh));
  if (errors.length > 0) throw validationFailed(errors);

  const merged: Record<string, string> = {};
  for (const { name, sealed } of kept.values()) merged[name] = sealed;
  for (const [name, value] of fresh) merged[name] = seal(name, value);
  return merged;
}

function checkAll(kept: readonly { name: string }[], fresh: ReadonlyMap<string, string>): FieldError[] {
  const all = Object.fromEntries([
    ...kept.map(({ name }) => [name, CHECKED_BEFORE] as const),
    ...fresh.entries(),
  ]);
  // What is stored stays, even where a newer version would refuse its name.
  return checkCustomHeaders(all)
    .filter(({ name }) => fresh.has(name))
    .map(({ name, detail }) => problem(name, detail));
}

function problem(name: string, detail: string): FieldError {
  return { pointer: pointerTo(['headers', name]), detail };
}
