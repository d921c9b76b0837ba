import { errorCodes, type ErrorCode, type ProblemKind } from './error-codes.js';

export const PROBLEM_CONTENT_TYPE = 'application/problem+json';

/** Where every code is explained; served by this process, so that a `type` resolves without the internet. */
export const ERRORS_PAGE = '/docs/errors';

/** One offending place. `pointer` is a JSON pointer in its URI fragment form (`#/url`), or `#?limit` in the query. */
export interface FieldError {
  pointer: string;
  detail: string;
}

/** RFC 9457 problem document, with a stable `code` for machines and the id of the request for people. */
export interface Problem {
  type: string;
  title: string;
  status: number;
  detail: string;
  code: ErrorCode;
  requestId: string;
  errors?: readonly FieldError[];
}

/**
 * A refusal that the caller can do something about. `detail` is a sentence for people that names the value or
 * the limit; it must hold no secret.
 */
export class ProblemError extends Error {
  override readonly name = 'ProblemError';
  readonly errors: readonly FieldError[] | undefined;
  readonly headers: Readonly<Record<string, string>>;

  constructor(
    readonly code: ErrorCode,
    readonly detail: string,
    more: { errors?: readonly FieldError[]; headers?: Readonly<Record<string, string>> } = {},
  ) {
    super(`${code}: ${detail}`);
    this.errors = more.errors;
    this.headers = more.headers ?? {};
  }

  get status(): number {
    return errorCodes[this.code].status;
  }
}

/** The document answered for `error`. A `type` is relative: it resolves against the deployment that answered. */
export function problemDocument(error: ProblemError, requestId: string): Problem {
  const kind: ProblemKind = errorCodes[error.code];
  return {
    type: `${ERRORS_PAGE}#${error.code}`,
    title: kind.title,
    status: kind.status,
    detail: error.detail,
    code: error.code,
    requestId,
    ...(error.errors && { errors: error.errors }),
  };
}
