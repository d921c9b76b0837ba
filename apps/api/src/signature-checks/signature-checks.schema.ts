import { SIGNATURE_FINDING_CODES } from '@posthorn/core';
import { z } from 'zod';
import { operation } from '../http/operation.js';
import { idFilter, timeFilter } from '../http/request-schemas.js';

/** The largest payload of the defaults with its envelope around it. A check hashes it some hundred times. */
const MAX_BODY_BYTES = 320 * 1024;
const MAX_HEADERS = 100;
const MAX_NAME_LENGTH = 256;
const MAX_VALUE_LENGTH = 8192;
const MAX_SECRET_LENGTH = 1024;
const MAX_COMPUTED_LENGTH = 1024;
const DEFAULT_TOLERANCE_S = 300;
const MAX_TOLERANCE_S = 86_400;

const headerName = z.string().max(MAX_NAME_LENGTH);
const headerValue = z.string().max(MAX_VALUE_LENGTH);
const tooManyHeaders = `must be at most ${MAX_HEADERS} headers`;

const headers = z
  .union([
    z
      .array(z.strictObject({ name: headerName, value: headerValue }))
      .max(MAX_HEADERS, tooManyHeaders)
      .transform((list) => list.map(({ name, value }): [string, string] => [name, value])),
    z
      .record(headerName, z.union([headerValue, z.array(headerValue)]))
      .transform((record) =>
        Object.entries(record).flatMap(([name, value]) =>
          [value].flat().map((one): [string, string] => [name, one]),
        ),
      )
      .refine((list) => list.length <= MAX_HEADERS, tooManyHeaders),
  ])
  .meta({
    description:
      'As your code got them: an object of names and values, or a list of `{name, value}`. Case makes no difference.',
    example: {
      'webhook-id': 'evt_01kasn5n6yf1rtv9dqj9j0q5tr',
      'webhook-timestamp': '1763890200',
      'webhook-signature': 'v1,K5oZfzN95Z9UVu1EsfQmfVNQhnkZ2pj9o9NDN/H/pI4=',
    },
    override: {
      anyOf: [
        {
          type: 'object',
          additionalProperties: { anyOf: [{ type: 'string' }, { type: 'array', items: { type: 'string' } }] },
        },
        {
          type: 'array',
          items: {
            type: 'object',
            properties: { name: { type: 'string' }, value: { type: 'string' } },
            required: ['name', 'value'],
          },
        },
      ],
    },
  });

const members = z.strictObject({
  headers,
  body: z.string().optional().meta({ description: 'The body as text, just as it was received.' }),
  bodyBase64: z
    .base64()
    .optional()
    .meta({ description: 'The bytes of the body, where text could not carry them.' }),
  secret: z.string().max(MAX_SECRET_LENGTH).optional().meta({
    format: 'password',
    description:
      'The signing secret that your receiver uses. It is used for this one answer, and neither kept nor logged.',
    example: 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw',
  }),
  subscription: idFilter('sub').optional().meta({ description: 'Whose secrets to verify it with.' }),
  delivery: idFilter('dlv')
    .optional()
    .meta({ description: 'What to compare it with: the body and the headers as they were sent.' }),
  attempt: z.int().min(1).optional().meta({ description: 'The attempt of that delivery which this is.' }),
  computedSignature: z.string().max(MAX_COMPUTED_LENGTH).optional().meta({
    description: 'What your own code computed. If a known mistake makes exactly that, it is named.',
  }),
  toleranceSeconds: z.int().min(0).max(MAX_TOLERANCE_S).default(DEFAULT_TOLERANCE_S).meta({
    description: 'How far the timestamp may be from when it was received.',
  }),
  receivedAt: timeFilter
    .optional()
    .meta({ description: 'When it was received, by the clock of your receiver.' }),
});

/** A check, its headers as pairs and its body as bytes. */
export const signatureCheck = members
  .superRefine((given, context) => {
    const complain = (name: string, message: string): void => {
      context.addIssue({ code: 'custom', path: [name], message });
    };
    if ((given.body === undefined) === (given.bodyBase64 === undefined)) {
      complain('body', 'is needed, either as body or as bodyBase64');
    }
    if (bytesOf(given).length > MAX_BODY_BYTES) complain('body', `must be at most ${MAX_BODY_BYTES} bytes`);
    if (given.secret === undefined && given.subscription === undefined && given.delivery === undefined) {
      complain('secret', 'is needed, or else a subscription or a delivery');
    }
    if (given.attempt !== undefined && given.delivery === undefined) {
      complain('attempt', 'is of a delivery: give that as well');
    }
  })
  .transform((given) => ({ ...given, body: bytesOf(given) }));

function bytesOf({
  body,
  bodyBase64,
}: {
  body?: string | undefined;
  bodyBase64?: string | undefined;
}): Buffer {
  return body === undefined ? Buffer.from(bodyBase64 ?? '', 'base64') : Buffer.from(body, 'utf8');
}

const verdict = z
  .object({
    verdict: z.enum(['valid', 'invalid']).meta({
      description:
        'What a receiver that does everything right answers: with the secret given, else with those of the subscription.',
    }),
    findings: z
      .array(
        z.object({
          code: z
            .enum(SIGNATURE_FINDING_CODES)
            .meta({ description: 'Stable, branch on this; docs/signature-debugger.md has them all.' }),
          words: z.string().meta({ description: 'The same for a person.' }),
          severity: z.enum(['error', 'warning', 'info']).meta({
            description: '`error`: this is why it is refused. `warning`: look at it. `info`: good to know.',
          }),
          details: z.record(z.string(), z.unknown()).optional(),
        }),
      )
      .meta({ description: 'What explains it, errors first.' }),
    computed: z.object({
      signedContent: z.object({
        id: z.string().nullable(),
        timestamp: z.string().nullable(),
        bodyBytes: z.int().min(0),
      }),
      expected: z.string().nullable().meta({
        description:
          'What `webhook-signature` should hold. Only with a secret in the request: of those that Posthorn has, none signs what somebody pasted.',
      }),
    }),
  })
  .meta({ id: 'SignatureVerdict' });

export const checkSignatureOperation = operation({
  id: 'checkSignature',
  tag: 'Deliveries',
  summary: 'Find out why a signature is not accepted',
  description:
    'Paste a request as your receiver got it, with its secret, or name the subscription or the delivery. Nothing of it is kept or logged, and an `Idempotency-Key` is not looked at.',
  scope: 'deliveries:read',
  body: signatureCheck,
  answers: { 200: { description: 'What is wrong with it, and why.', schema: verdict } },
  problems: ['delivery_not_found', 'subscription_not_found'],
  idempotency: 'none',
});
