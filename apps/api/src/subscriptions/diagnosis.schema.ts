import { z } from 'zod';
import { operation } from '../http/operation.js';
import { subscriptionPath } from './subscriptions.schema.js';

const verdict = z.enum(['ok', 'warning', 'failed', 'skipped']).meta({
  description:
    '`warning`: webhooks arrive, but something is worth looking at. `skipped`: not reached, or not needed.',
});
const header = z.object({ name: z.string(), value: z.string() });
const headers = z.array(header);

/** One kind of step; `details` are null when it was skipped. */
function step<Name extends string, Details extends z.ZodRawShape>(name: Name, details: Details) {
  return z.object({
    name: z.literal(name),
    verdict,
    durationMs: z.number().min(0).meta({ description: 'In ms.', example: 12.5 }),
    words: z.string().meta({ description: 'What was found, for people.' }),
    details: z.object(details).nullable(),
  });
}

const url = step('url', {
  url: z.string(),
  refusedBecause: z
    .string()
    .nullable()
    .meta({ description: 'The rule it breaks; a code that begins with `url_`.', example: 'url_scheme' }),
});

const dns = step('dns', {
  answers: z
    .array(
      z.object({
        address: z.string(),
        family: z.literal([4, 6]),
        allowed: z.boolean(),
        refusedBecause: z.string().nullable(),
      }),
    )
    .meta({
      description:
        'Every address of the host. A key bound to a tenant is shown none when the host is refused.',
    }),
});

const tcp = step('tcp', {
  address: z.string().nullable().meta({ example: '93.184.216.34:443' }),
  tried: z
    .array(z.object({ address: z.string(), error: z.string().nullable().meta({ example: 'ECONNREFUSED' }) }))
    .meta({ description: 'What was dialled, in order.' }),
});

const time = z.string().nullable().meta({ format: 'date-time' });

const tls = step('tls', {
  protocol: z.string().nullable().meta({ example: 'TLSv1.3' }),
  cipher: z.string().nullable(),
  chain: z
    .array(
      z.object({
        subject: z.string(),
        issuer: z.string(),
        validFrom: time,
        validTo: time,
        names: z.array(z.string()),
      }),
    )
    .meta({
      description: 'The certificates, from the own one of the receiver upwards; also when they are refused.',
    }),
  daysLeft: z.int().nullable().meta({ description: 'Until the own certificate of the receiver expires.' }),
  authorized: z.boolean(),
  authorizationError: z.string().nullable().meta({ example: 'CERT_HAS_EXPIRED' }),
  problem: z
    .enum([
      'expired',
      'not_yet_valid',
      'self_signed',
      'name_mismatch',
      'incomplete_chain',
      'unknown_issuer',
      'other',
    ])
    .nullable(),
});

const http = step('http', {
  request: z
    .object({ method: z.literal('POST'), url: z.string(), headers, body: z.string() })
    .nullable()
    .meta({ description: 'As sent; the values of custom headers are redacted.' }),
  statusCode: z.int().nullable(),
  response: z
    .object({
      headers,
      body: z.string(),
      bodyEncoding: z.enum(['utf8', 'base64']),
      truncated: z.boolean(),
    })
    .nullable(),
  firstByteMs: z.number().nullable(),
  deadlineMs: z.int().meta({ description: 'For all steps together.' }),
});

const response = step('response', {
  outcome: z
    .enum(['accepted', 'rejected', 'gone'])
    .meta({ description: 'Of an attempt that gets this answer.' }),
  statusCode: z.int(),
  warnings: z.array(z.enum(['html', 'slow', 'large_body'])),
});

const clock = step('clock', {
  differenceMs: z
    .int()
    .meta({ description: 'By how much the clock of the receiver is ahead; negative: behind.' }),
});

const diagnosis = z
  .object({
    verdict: z.enum(['ok', 'warning', 'failed']).meta({ description: 'The worst of the steps.' }),
    advice: z.string().meta({ description: 'One sentence that says what to do.' }),
    steps: z
      .array(z.discriminatedUnion('name', [url, dns, tcp, tls, http, response, clock]))
      .meta({ description: 'All seven, in the order in which they are made.' }),
    testEventId: z
      .string()
      .nullable()
      .meta({ description: 'The `webhook-id` of what was sent; null when nothing was.' }),
  })
  .meta({ id: 'Diagnosis' });

export const diagnoseSubscriptionOperation = operation({
  id: 'diagnoseSubscription',
  tag: 'Subscriptions',
  summary: 'Find out why webhooks do not arrive',
  description:
    'Sends one signed test event (`posthorn.test`) to the URL now, in any state of the subscription, and says of each step what it met: the rules for URLs, DNS, TCP, TLS, HTTP, the response, the clock. Not a delivery: nothing is stored, counted or changed. It ends within the deadline of the subscription, at most 20 s, and when the client hangs up.',
  scope: 'subscriptions:write',
  params: subscriptionPath,
  answers: { 200: { description: 'What was found. A receiver that fails is a 200 too.', schema: diagnosis } },
  problems: ['subscription_not_found', 'diagnosis_running', 'diagnosis_limit_reached', 'diagnosis_cancelled'],
});
