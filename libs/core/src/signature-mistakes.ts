import { createHash, createHmac } from 'node:crypto';
import { serialisationsOf } from './body-difference.js';
import type { SignatureFindingCode } from './signature-check.js';

/** What a receiver's code does otherwise than it should when it computes a signature. */
export interface Mistake {
  code: Extract<
    SignatureFindingCode,
    | 'secret_with_prefix'
    | 'secret_not_decoded'
    | 'content_wrong'
    | 'timestamp_in_ms'
    | 'algorithm_wrong'
    | 'encoding_wrong'
    | 'body_reserialised'
  >;
  /** What it does, to follow "it". */
  words: string;
  details?: Readonly<Record<string, unknown>>;
}

/** What goes into a signature. */
export interface Signed {
  key: Uint8Array;
  /** The secret as text, which may have been taken for the key; `whsec_` and what follows. */
  text: string;
  id: string;
  timestamp: string;
  body: Uint8Array;
}

interface Variant<Value> {
  value: Value;
  mistake?: Mistake;
}

type Content = (signed: Signed, body: Uint8Array) => (string | Uint8Array)[];
type Algorithm = (key: Uint8Array, content: readonly (string | Uint8Array)[]) => Buffer;

/** More than this at once is a guess that fits by chance only in appearance, and costs a hash of the body each. */
const MAX_MISTAKES = 2;
/** A body longer than this is hashed for one mistake at a time: in pairs, five secrets and 300 kB took 200 ms. */
const MAX_BYTES_FOR_PAIRS = 32 * 1024;
const PREFIX = 'whsec_';

/**
 * The fewest mistakes that make exactly this value of what should have been signed; an empty list: it is right. Undefined:
 * none that is known, two at a time, or one where the body is long.
 *
 * @param atMost how many to suppose at once, besides the encoding
 * @param computed text: base64 or hexadecimal, with or without `v1,` in front
 */
export function mistakesBehind(
  computed: string,
  signed: Signed,
  atMost = MAX_MISTAKES,
): Mistake[] | undefined {
  const claims = claimsOf(computed);
  if (claims.length === 0) return undefined;
  const most = signed.body.length > MAX_BYTES_FOR_PAIRS ? Math.min(atMost, 1) : atMost;
  const bodies = most > 0 ? bodiesOf(signed.body) : [{ value: signed.body }];
  for (let count = 0; count <= most; count += 1) {
    for (const key of keysOf(signed)) {
      for (const content of CONTENTS) {
        for (const algorithm of ALGORITHMS) {
          for (const body of bodies) {
            const mistakes = [key, content, algorithm, body].flatMap(({ mistake }) => mistake ?? []);
            if (mistakes.length !== count) continue;
            const digest = algorithm.value(key.value, content.value(signed, body.value));
            const claim = claims.find((one) => one.digest.equals(digest));
            if (claim) return [...mistakes, ...(claim.mistake ? [claim.mistake] : [])];
          }
        }
      }
    }
  }
  return undefined;
}

/** The bytes that the text may stand for, with the encoding that this takes. */
function claimsOf(computed: string): { digest: Buffer; mistake?: Mistake }[] {
  const bare = computed
    .trim()
    .split(/\s/, 1)
    .join('')
    .replace(/^(?:v1[,=:]|sha\d+=)/i, '');
  if (bare === '') return [];
  if (/^(?:[0-9a-f]{2}){16,64}$/i.test(bare)) {
    return [
      {
        digest: Buffer.from(bare, 'hex'),
        mistake: encoding('hex', 'writes the signature in hexadecimal instead of base64'),
      },
    ];
  }
  const digest = Buffer.from(bare, 'base64');
  if (digest.toString('base64') === bare) return [{ digest }];
  if (digest.toString('base64').replaceAll('=', '') === bare) {
    return [{ digest, mistake: encoding('base64_unpadded', 'leaves out the "=" at the end of the base64') }];
  }
  return digest.toString('base64url') === bare.replaceAll('=', '')
    ? [
        {
          digest,
          mistake: encoding(
            'base64url',
            'writes the signature in base64url ("-" and "_") instead of base64 ("+" and "/")',
          ),
        },
      ]
    : [];
}

function encoding(name: string, words: string): Mistake {
  return { code: 'encoding_wrong', words, details: { encoding: name } };
}

function keysOf({ key, text }: Signed): Variant<Uint8Array>[] {
  const bare = text.startsWith(PREFIX) ? text.slice(PREFIX.length) : text;
  return [
    { value: key },
    {
      value: Buffer.from(PREFIX + bare),
      mistake: {
        code: 'secret_with_prefix',
        words:
          'takes the text of the secret for the key, "whsec_" included; the key is what the base64 behind the prefix decodes to',
      },
    },
    {
      value: Buffer.from(bare),
      mistake: {
        code: 'secret_not_decoded',
        words: 'takes the text behind "whsec_" for the key; the key is what this base64 decodes to',
      },
    },
  ];
}

const otherContent = (content: string, words: string, value: Content): Variant<Content> => ({
  value,
  mistake: { code: 'content_wrong', words, details: { content } },
});

/** Source: Standard Webhooks 1.0, "Signature scheme": `id.timestamp.body`. */
const CONTENTS: readonly Variant<Content>[] = [
  { value: ({ id, timestamp }, body) => [`${id}.${timestamp}.`, body] },
  otherContent(
    'body',
    'signs the body alone; it is webhook-id, webhook-timestamp and body with full stops between',
    (_, body) => [body],
  ),
  otherContent('timestamp.body', 'leaves out the webhook-id', ({ timestamp }, body) => [
    `${timestamp}.`,
    body,
  ]),
  otherContent('id.body', 'leaves out the webhook-timestamp', ({ id }, body) => [`${id}.`, body]),
  otherContent('timestamp.id.body', 'puts the timestamp in front of the id', ({ id, timestamp }, body) => [
    `${timestamp}.${id}.`,
    body,
  ]),
  otherContent(
    'idtimestampbody',
    'leaves out the full stops between id, timestamp and body',
    ({ id, timestamp }, body) => [`${id}${timestamp}`, body],
  ),
  otherContent('id.timestamp', 'leaves out the body', ({ id, timestamp }) => [`${id}.${timestamp}`]),
  {
    value: ({ id, timestamp }, body) => [`${id}.${timestamp}000.`, body],
    mistake: {
      code: 'timestamp_in_ms',
      words: 'signs the timestamp in milliseconds; it is the text of webhook-timestamp, in seconds',
    },
  },
];

const hmac =
  (name: string): Algorithm =>
  (key, content) =>
    content
      .reduce<ReturnType<typeof createHmac>>((sum, part) => sum.update(part), createHmac(name, key))
      .digest();

const otherAlgorithm = (algorithm: string, words: string, value: Algorithm): Variant<Algorithm> => ({
  value,
  mistake: { code: 'algorithm_wrong', words, details: { algorithm } },
});

const ALGORITHMS: readonly Variant<Algorithm>[] = [
  { value: hmac('sha256') },
  otherAlgorithm('hmac-sha1', 'uses HMAC-SHA1 instead of HMAC-SHA256', hmac('sha1')),
  otherAlgorithm('hmac-sha512', 'uses HMAC-SHA512 instead of HMAC-SHA256', hmac('sha512')),
  otherAlgorithm('sha256', 'hashes without the key: it is an HMAC', (_, content) =>
    content
      .reduce<ReturnType<typeof createHash>>((sum, part) => sum.update(part), createHash('sha256'))
      .digest(),
  ),
];

function bodiesOf(body: Uint8Array): Variant<Uint8Array>[] {
  return [
    { value: body },
    ...serialisationsOf(body).map((value) => ({
      value,
      mistake: {
        code: 'body_reserialised' as const,
        words:
          'parses the body and writes it anew; sign the bytes as they came, before any JSON parser has them',
        details: { how: ['reserialised'] },
      },
    })),
  ];
}
