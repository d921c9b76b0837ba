/** What stands in place of what must not be read. */
const HIDDEN = '[redacted]';

/** Limits on one value of a line, so that a stranger's input cannot make a line of megabytes. */
const MAX_TEXT_CHARS = 8192;
const MAX_ENTRIES = 100;
const MAX_DEPTH = 5;

/**
 * Fields hidden whatever they hold: their name ends in one of these words. `secretId` or `apiKeyPrefix` are
 * shown, `signingSecret`, `x-api-key` and `Authorization` are not.
 */
const HIDDEN_NAME =
  /(?:authorization|cookie|password|passphrase|secret|secrets|token|credentials|api[-_]?key|(?:encryption|private)[-_]?key|webhook-signature)$/i;

/** Secrets recognised by their looks, wherever they stand in a line: in a message, an error, a stack, a URL. */
const HIDDEN_TEXT: readonly (readonly [RegExp, string])[] = [
  [/whsec_[A-Za-z0-9+/=_-]+/g, `whsec_${HIDDEN}`],
  // an API key or a session: its id says which one, the rest is the secret
  [/\b(ph[klps]_[0-9a-z]{26})_[A-Za-z0-9_-]+/g, `$1_${HIDDEN}`],
  [/\b(bearer|basic) [A-Za-z0-9._~+/=-]+/gi, `$1 ${HIDDEN}`],
  // userinfo of a URL: keeps scheme and host, which say what was being reached
  [/([a-z][a-z0-9+.-]*:\/\/)[^\s/?#"'@\\]*@/gi, `$1${HIDDEN}@`],
];

/** `line` with every secret that can be told by its looks blotted out. Applied to each line as written. */
export function redactText(line: string): string {
  let shown = line;
  for (const [pattern, replacement] of HIDDEN_TEXT) shown = shown.replace(pattern, replacement);
  return shown;
}

/** A plain, bounded copy of `fields` for JSON: hidden by name, errors with their causes, bytes as a count. */
export function redactFields(fields: Record<string, unknown>): Record<string, unknown> {
  return redactEntries(Object.entries(fields), 0);
}

function redactEntries(entries: [string, unknown][], depth: number): Record<string, unknown> {
  const shown: Record<string, unknown> = {};
  for (const [name, value] of entries.slice(0, MAX_ENTRIES)) {
    shown[name] =
      HIDDEN_NAME.test(name) && value != null && value !== '' ? HIDDEN : redactValue(value, depth);
  }
  if (entries.length > MAX_ENTRIES) shown['…'] = `${entries.length - MAX_ENTRIES} more`;
  return shown;
}

function redactValue(value: unknown, depth: number): unknown {
  switch (typeof value) {
    case 'string':
      return value.length > MAX_TEXT_CHARS
        ? `${value.slice(0, MAX_TEXT_CHARS)}… (${value.length} characters)`
        : value;
    case 'bigint':
      return value.toString();
    case 'object':
      return value === null ? null : redactObject(value, depth);
    case 'function':
    case 'symbol':
      return undefined;
    case 'number':
    case 'boolean':
    case 'undefined':
      return value;
  }
}

function redactObject(value: object, depth: number): unknown {
  if (depth >= MAX_DEPTH) return '…';
  if (value instanceof Error) return redactError(value, depth);
  if (value instanceof Uint8Array) return `${value.byteLength} bytes`;
  if (Array.isArray(value)) {
    const shown: unknown[] = value.slice(0, MAX_ENTRIES).map((entry) => redactValue(entry, depth + 1));
    if (value.length > MAX_ENTRIES) shown.push(`… ${value.length - MAX_ENTRIES} more`);
    return shown;
  }
  if ('toJSON' in value && typeof value.toJSON === 'function') {
    return redactValue((value.toJSON as () => unknown)(), depth + 1);
  }
  return redactEntries(Object.entries(value), depth + 1);
}

function redactError(error: Error, depth: number): Record<string, unknown> {
  const { name, message, stack, cause } = error;
  const code: unknown = 'code' in error ? error.code : undefined;
  const causes = error instanceof AggregateError ? error.errors : undefined;
  return redactEntries(
    Object.entries({ name, message, code, stack, cause, causes }).filter(([, value]) => value !== undefined),
    depth + 1,
  );
}
