/** Most custom headers one subscription may have. */
const MAX_HEADERS = 20;
/** Longest name and longest value, in characters (all of them ASCII). */
const MAX_NAME_LENGTH = 256;
const MAX_VALUE_LENGTH = 4096;

/** RFC 9110 §5.6.2: what a field name is made of. */
const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;

const FRAMING = 'belongs to the connection, not to the message';
const OURS = 'is set by Posthorn';
const CLOUD = 'means something to a cloud or its metadata service';
const ROUTE = 'would pretend a route the request did not take';

/** Names nobody may set, in lower case, with the reason. */
const FORBIDDEN_NAMES: ReadonlyMap<string, string> = new Map([
  ['host', 'would name another host than the URL'],
  ['connection', FRAMING],
  ['keep-alive', FRAMING],
  ['te', FRAMING],
  ['trailer', FRAMING],
  ['transfer-encoding', FRAMING],
  ['upgrade', FRAMING],
  ['http2-settings', FRAMING],
  ['expect', FRAMING],
  ['user-agent', OURS],
  ['accept-encoding', OURS],
  ['cookie', 'is for browsers: use authorization or a name of your own'],
  ['set-cookie', 'is for answers'],
  ['forwarded', ROUTE],
  ['via', ROUTE],
  ['x-real-ip', ROUTE],
  ['metadata', CLOUD],
  ['metadata-flavor', CLOUD],
  ['__proto__', 'is not a header but a trap'],
]);

/** Beginnings nobody may use, in lower case, with the reason. */
const FORBIDDEN_PREFIXES: readonly (readonly [prefix: string, reason: string])[] = [
  ['content-', OURS],
  ['webhook-', OURS],
  ['posthorn-', OURS],
  ['svix-', 'is another sender’s name for a signature'],
  ['proxy-', FRAMING],
  ['sec-', 'is for browsers'],
  ['x-forwarded-', ROUTE],
  ['x-amz-', CLOUD],
  ['x-aws-ec2-metadata-token', CLOUD],
  ['x-goog', CLOUD],
  ['x-azure-', CLOUD],
];

/**
 * What is wrong with the headers a subscriber wants on its deliveries; empty when nothing is. At most 20
 * headers; names are RFC 9110 tokens of at most 256 characters, no two equal but for case; values are at most
 * 4 KiB of visible ASCII, spaces and tabs, with none of the latter two at either end (so no line can be
 * broken and nothing depends on an encoding). Each problem names its header; no detail repeats a value, for
 * values are secrets. With too many headers that alone is reported, on the first one beyond the limit.
 *
 * Source: RFC 9110 §5.5 and §5.6.2; docs/security.md for the names that are refused.
 */
export function checkCustomHeaders(headers: Record<string, string>): { name: string; detail: string }[] {
  const entries = Object.entries(headers);
  const beyond = entries[MAX_HEADERS];
  if (beyond) {
    return [
      { name: beyond[0], detail: `At most ${MAX_HEADERS} headers are allowed, not ${entries.length}.` },
    ];
  }

  const seen = new Set<string>();
  const problems: { name: string; detail: string }[] = [];
  for (const [name, value] of entries) {
    const lowerCase = name.toLowerCase();
    const detail =
      problemOfName(lowerCase) ??
      (seen.has(lowerCase)
        ? 'The same name is given twice; case makes no difference.'
        : problemOfValue(value));
    seen.add(lowerCase);
    if (detail !== undefined) problems.push({ name, detail });
  }
  return problems;
}

function problemOfName(name: string): string | undefined {
  if (name.length > MAX_NAME_LENGTH) return `The name is longer than ${MAX_NAME_LENGTH} characters.`;
  if (!TOKEN.test(name)) return "The name is not a token: letters, digits and !#$%&'*+-.^_`|~ only.";
  const reason =
    FORBIDDEN_NAMES.get(name) ?? FORBIDDEN_PREFIXES.find(([prefix]) => name.startsWith(prefix))?.[1];
  return reason === undefined ? undefined : `The header ${name} ${reason}.`;
}

function problemOfValue(value: unknown): string | undefined {
  if (typeof value !== 'string') return 'The value is not text.';
  if (value.length > MAX_VALUE_LENGTH) return `The value is longer than ${MAX_VALUE_LENGTH} characters.`;
  if (!/^[\t\x20-\x7e]*$/.test(value))
    return 'The value has characters other than visible ASCII, space and tab.';
  if (/^[\t ]|[\t ]$/.test(value)) return 'The value begins or ends with a space or a tab.';
  return undefined;
}
