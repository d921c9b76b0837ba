import { isUtf8 } from 'node:buffer';
import { locateJsonError } from './json-error.js';
import { pointerTo, validationFailed } from './parse.js';
import { ProblemError } from './problem.js';

/**
 * Larger than anything the control plane is sent. Checking a body of many small members costs half a second of the
 * whole process for each MiB, so that the limit of events would let one caller hold up all others.
 */
export const MAX_CONTROL_BODY_BYTES = 1_048_576;

/** Deeper than anything the control plane is sent; what walks or prints a value may recurse this far. */
export const MAX_BODY_DEPTH = 64;

/** The text of a body: UTF-8 without a byte order mark, or `malformed_json`. */
export function bodyText(body: Buffer | undefined): string {
  if (body === undefined || body.length === 0) {
    throw new ProblemError('malformed_json', 'A JSON body is needed, and none was sent.');
  }
  if (body[0] === 0xef && body[1] === 0xbb && body[2] === 0xbf) {
    throw new ProblemError('malformed_json', 'The body begins with a byte order mark; send it without one.');
  }
  if (!isUtf8(body)) {
    throw new ProblemError(
      'malformed_json',
      `The body is not UTF-8: byte ${firstBadByte(body)} does not fit.`,
    );
  }
  return body.toString('utf8');
}

/** The parsed body, or `malformed_json` that says where it stops being JSON. Duplicate names: the last one counts. */
export function parseJsonText(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    const { line, column, found } = locateJsonError(text);
    throw new ProblemError('malformed_json', `Line ${line}, column ${column}: ${found}.`);
  }
}

/**
 * The parsed body of a control-plane request: within `MAX_CONTROL_BODY_BYTES` and `MAX_BODY_DEPTH`, and without a
 * member named `__proto__`.
 */
export function readJson(body: Buffer | undefined): unknown {
  if (body !== undefined && body.length > MAX_CONTROL_BODY_BYTES) {
    throw new ProblemError('request_too_large', `The body may have ${MAX_CONTROL_BODY_BYTES} bytes.`);
  }
  const value = parseJsonText(bodyText(body));
  refuseHostileShape(value, []);
  return value;
}

function refuseHostileShape(value: unknown, path: readonly PropertyKey[]): void {
  if (typeof value !== 'object' || value === null) return;
  if (path.length >= MAX_BODY_DEPTH) {
    throw validationFailed([
      { pointer: pointerTo(path.slice(0, 3)), detail: `is nested deeper than ${MAX_BODY_DEPTH} levels` },
    ]);
  }
  for (const key of Object.keys(value)) {
    // Copying such a member onto another object would change its prototype.
    if (key === '__proto__') {
      throw validationFailed([{ pointer: pointerTo([...path, key]), detail: 'is not an allowed name' }]);
    }
    refuseHostileShape((value as Record<string, unknown>)[key], [...path, key]);
  }
}

function firstBadByte(body: Buffer): number {
  // The longest valid prefix, by halving; a character cut at its end is at most three bytes short.
  let good = 0;
  let bad = body.length;
  const fits = (length: number): boolean =>
    [0, 1, 2, 3].some((back) => isUtf8(body.subarray(0, Math.max(0, length - back))));
  while (bad - good > 1) {
    const middle = (good + bad) >> 1;
    if (fits(middle)) good = middle;
    else bad = middle;
  }
  while (good > 0 && !isUtf8(body.subarray(0, good))) good -= 1;
  return good;
}
