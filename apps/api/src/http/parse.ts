import { z } from 'zod';
import { ProblemError, type FieldError } from './problem.js';

/** More errors than anyone reads; a body of 5 MiB could hold a million. */
const MAX_ERRORS = 100;

/**
 * The value as its schema says, or `validation_failed` with one entry for each offending member.
 *
 * @param root in front of every pointer: `#` for a body, `#?` for the query, `#:` for the path
 */
export function parse<Schema extends z.ZodType>(
  schema: Schema,
  value: unknown,
  root = '#',
): z.output<Schema> {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  throw validationFailed(fieldErrors(result.error.issues, root));
}

/**
 * The query string as its schema says; every value arrives as text. Parameters it does not
 * name, and repeated ones, are refused.
 */
export function parseQuery<Schema extends z.ZodType>(schema: Schema, query: unknown): z.output<Schema> {
  const entries = Object.entries(query as Record<string, unknown>);
  const repeated = entries.filter(([, value]) => Array.isArray(value));
  if (repeated.length > 0) {
    throw validationFailed(
      repeated.map(([name]) => ({ pointer: pointerTo([name], '#?'), detail: 'is given more than once' })),
    );
  }
  return parse(schema, Object.fromEntries(entries), '#?');
}

export function validationFailed(errors: readonly FieldError[]): ProblemError {
  const [first] = errors;
  const detail =
    first === undefined
      ? 'The request is not valid.'
      : `${first.pointer} ${first.detail}${errors.length > 1 ? ` (and ${errors.length - 1} more)` : ''}`;
  return new ProblemError('validation_failed', detail, { errors: errors.slice(0, MAX_ERRORS) });
}

/** A JSON pointer (RFC 6901) in its URI fragment form; under `#?` and `#:` the name of a parameter. */
export function pointerTo(path: readonly PropertyKey[], root = '#'): string {
  const separator = root === '#' ? '/' : '';
  return root + path.map((part, index) => (index > 0 ? '/' : separator) + escapePart(String(part))).join('');
}

function escapePart(part: string): string {
  // Lone surrogates cannot be percent-encoded.
  return encodeURIComponent(
    part
      .slice(0, 200)
      .replaceAll(/\p{Surrogate}/gu, '\ufffd')
      .replaceAll('~', '~0')
      .replaceAll('/', '~1'),
  );
}

export function fieldErrors(issues: readonly z.core.$ZodIssue[], root = '#'): FieldError[] {
  return issues.flatMap((issue) => errorsOf(issue, [], root));
}

function errorsOf(issue: z.core.$ZodIssue, above: readonly PropertyKey[], root: string): FieldError[] {
  const path = [...above, ...issue.path];
  const pointer = pointerTo(path, root);
  if (issue.code === 'unrecognized_keys') {
    const detail = root === '#' ? 'is not a known member' : 'is not a known parameter';
    return issue.keys.map((key) => ({ pointer: pointerTo([...path, key], root), detail }));
  }
  if (issue.code === 'invalid_union') {
    const branch = closestBranch(issue.errors);
    if (branch) return branch.flatMap((inner) => errorsOf(inner, path, root));
    return [{ pointer, detail: 'has none of the allowed forms' }];
  }
  if (issue.code === 'invalid_key') return [{ pointer, detail: issue.issues.map(sentence).join('; ') }];
  return [{ pointer, detail: sentence(issue) }];
}

/** The alternative the caller most likely meant: the one with the fewest complaints. */
function closestBranch(
  branches: readonly (readonly z.core.$ZodIssue[])[],
): readonly z.core.$ZodIssue[] | undefined {
  const complaints = (branch: readonly z.core.$ZodIssue[]): number =>
    branch.reduce(
      // What is there says more about what was meant than what is missing.
      (sum, issue) => sum + (issue.code === 'unrecognized_keys' ? 3 * issue.keys.length : 1),
      0,
    );
  const typed = branches.filter(
    (branch) => !branch.some((i) => i.code === 'invalid_type' && i.path.length === 0),
  );
  return (typed.length > 0 ? typed : []).toSorted((a, b) => complaints(a) - complaints(b))[0];
}

/** Our own words for what zod found; a message written into a schema is taken as it is. */
function sentence(issue: z.core.$ZodIssue): string {
  if (issue.code === 'invalid_type') {
    if (issue.message.endsWith('received undefined')) return 'is required';
    return `must be ${typeName(issue.expected)}`;
  }
  if (issue.code === 'invalid_value') {
    return `must be ${issue.values.map((value) => JSON.stringify(value)).join(' or ')}`;
  }
  // These two may have a message of their own, which says more than the bound.
  if (issue.code === 'too_big' && issue.message.startsWith('Too big')) {
    return `must be at most ${String(issue.maximum)}${unitOf(issue.origin)}`;
  }
  if (issue.code === 'too_small' && issue.message.startsWith('Too small')) {
    return `must be at least ${String(issue.minimum)}${unitOf(issue.origin)}`;
  }
  return issue.message;
}

function typeName(expected: string): string {
  switch (expected) {
    case 'int':
      return 'a whole number';
    case 'array':
    case 'object':
      return `an ${expected}`;
    case 'record':
      return 'an object';
    case 'boolean':
      return 'true or false';
    default:
      return `a ${expected}`;
  }
}

function unitOf(origin: string): string {
  if (origin === 'string') return ' characters';
  if (origin === 'array' || origin === 'set') return ' entries';
  return '';
}
