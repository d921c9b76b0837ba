import { z } from 'zod';
import {
  createDocument,
  type CreateDocumentOptions,
  type ZodOpenApiObject,
  type ZodOpenApiOperationObject,
  type ZodOpenApiPathsObject,
  type ZodOpenApiResponsesObject,
} from 'zod-openapi';
import { errorCodes, type ErrorCode } from './error-codes.js';
import type { Answer, Operation } from './operation.js';
import { operationalWebhooks } from './operational-webhooks.js';
import { ERRORS_PAGE, PROBLEM_CONTENT_TYPE } from './problem.js';
import type { Route } from './route-table.js';

type OpenApiDocument = ReturnType<typeof createDocument>;

const ERROR_CODES = Object.keys(errorCodes) as [ErrorCode, ...ErrorCode[]];

const problemSchema = z
  .object({
    type: z.string().meta({
      format: 'uri-reference',
      description: 'Where the code is explained; resolves against this deployment.',
      example: `${ERRORS_PAGE}#validation_failed`,
    }),
    title: z.string(),
    status: z.int(),
    detail: z.string().meta({ description: 'What is wrong with this very request.' }),
    code: z.enum(ERROR_CODES).meta({ description: 'Stable; branch on this.' }),
    requestId: z.string().meta({ description: 'The same as the `x-request-id` header.' }),
    errors: z
      .array(
        z.object({
          pointer: z.string().meta({
            description:
              'A JSON pointer into the body (`#/url`), a query parameter (`#?limit`) or a path parameter (`#:id`).',
            example: '#/url',
          }),
          detail: z.string(),
        }),
      )
      .optional(),
  })
  .meta({ id: 'Problem', description: 'Every refusal (RFC 9457).' });

/** Codes that every operation can answer. */
const ANYWHERE: readonly ErrorCode[] = ['malformed_request', 'internal_error'];
const WITH_KEY: readonly ErrorCode[] = [
  'unauthenticated',
  'session_expired',
  'csrf_token_invalid',
  'forbidden',
  'unavailable',
];
const WITH_BODY: readonly ErrorCode[] = [
  'malformed_json',
  'request_too_large',
  'unsupported_media_type',
  'validation_failed',
];
const WITH_IDEMPOTENCY: readonly ErrorCode[] = [
  'idempotency_key_in_use',
  'idempotency_key_reused',
  'invalid_idempotency_key',
];

const idempotencyHeader = z.object({
  'idempotency-key': z.string().optional().meta({
    description:
      'Makes repeating this request harmless: for as long as the deployment keeps it (24 hours unless configured), a repeat with the same body is given the first answer again, with `idempotent-replayed: true`.',
    example: '8e03978e-40d5-43dd-bc93-6894a57f9324',
  }),
});

/** The order of the reference: what a newcomer needs comes first. */
const TAGS = [
  'Events',
  'Subscriptions',
  'Deliveries',
  'Statistics',
  'Replays',
  'Event types',
  'Tenants',
  'API keys',
  'Sessions',
  'Operations',
  'Reference',
];

const DESCRIPTION = `Sends webhooks for your product: signed, retried, inspectable.

To try it here, press **Authorize** and paste an API key, without \`Bearer\`. \`npm start\` keeps one that may do everything in \`.data/admin.key\`; elsewhere, \`npm run posthorn -- keys create\` makes one.

Times are RFC 3339 in UTC; spans of time are whole milliseconds in members ending in \`Ms\`. Lists are newest first.`;

/** The OpenAPI 3.1 document of the routes that exist, from the schemas that validate their input. */
export function openApiDocument(
  routes: readonly Route[],
  about: { version: string; url: string | undefined },
): OpenApiDocument {
  const paths: ZodOpenApiPathsObject = {};
  for (const { method, path, operation } of routes) {
    const template = path.replaceAll(/:(\w+)/g, '{$1}');
    (paths[template] ??= {})[method.toLowerCase() as 'get'] = describeOperation(operation, method);
  }
  const document: ZodOpenApiObject = {
    openapi: '3.1.0',
    info: {
      title: 'Posthorn',
      version: about.version,
      description: DESCRIPTION,
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    servers: [{ url: about.url ?? '/' }],
    tags: [...new Set([...TAGS, ...routes.map((route) => route.operation.tag)])].map((name) => ({ name })),
    security: [{ apiKey: [] }],
    paths,
    webhooks: { event: { post: webhook }, ...operationalWebhooks(webhook) },
    components: {
      securitySchemes: {
        apiKey: {
          type: 'http',
          scheme: 'bearer',
          description:
            'An API key, `phk_…`. Its scopes say what it may do; `admin` implies all of them. The token of a portal session, `php_…`, is taken too, and so is the cookie of `POST /v1/session`, with the header `x-csrf-token` where something is changed.',
        },
      },
      schemas: { Problem: problemSchema },
    },
  };
  return createDocument(document, options);
}

const options: CreateDocumentOptions = { reused: 'inline' };

function describeOperation(operation: Operation, method: string): ZodOpenApiOperationObject {
  const isPost = method === 'POST';
  const takesIdempotencyKey = isPost && operation.scope !== null && operation.idempotency !== 'none';
  const codes: ErrorCode[] = [
    ...ANYWHERE,
    ...(operation.scope ? WITH_KEY : []),
    ...(operation.body ? WITH_BODY : []),
    ...(operation.query && operation.scope ? (['validation_failed'] as const) : []),
    ...(operation.query && 'cursor' in operation.query.shape ? (['invalid_cursor'] as const) : []),
    ...(takesIdempotencyKey ? WITH_IDEMPOTENCY : []),
    ...(operation.problems ?? []),
  ];
  return {
    operationId: operation.id,
    tags: [operation.tag],
    summary: operation.summary,
    ...(operation.description !== undefined && { description: operation.description }),
    security: operation.scope ? [{ apiKey: operation.scope === 'any' ? [] : [operation.scope] }] : [],
    requestParams: {
      ...(operation.params && { path: operation.params }),
      ...(operation.query && { query: operation.query }),
      ...(takesIdempotencyKey && { header: idempotencyHeader }),
    },
    ...(operation.body && {
      requestBody: {
        required: operation.bodyOptional !== true,
        content: { 'application/json': { schema: operation.body } },
      },
    }),
    responses: { ...describeAnswers(operation.answers), ...describeProblems(codes) },
  };
}

function describeAnswers(answers: Operation['answers']): ZodOpenApiResponsesObject {
  const responses: ZodOpenApiResponsesObject = {};
  for (const [status, answer] of Object.entries<Answer>(answers)) {
    responses[status as '200'] = {
      description: answer.description,
      headers: {
        'x-request-id': { description: 'The id of the request.', schema: { type: 'string' } },
        ...Object.fromEntries(
          Object.entries(answer.headers ?? {}).map(([name, description]) => [
            name,
            { description, schema: { type: 'string' as const } },
          ]),
        ),
      },
      ...(answer.schema && {
        content: { [answer.contentType ?? 'application/json']: { schema: answer.schema } },
      }),
    };
  }
  return responses;
}

function describeProblems(codes: readonly ErrorCode[]): ZodOpenApiResponsesObject {
  const byStatus = new Map<number, ErrorCode[]>();
  for (const code of new Set(codes)) {
    const { status } = errorCodes[code];
    byStatus.set(status, [...(byStatus.get(status) ?? []), code]);
  }
  const entries = [...byStatus].map(([status, list]) => [
    String(status),
    {
      description: list.map((code) => `\`${code}\`: ${errorCodes[code].title}.`).join(' '),
      content: { [PROBLEM_CONTENT_TYPE]: { schema: problemSchema } },
    },
  ]);
  return Object.fromEntries(entries) as ZodOpenApiResponsesObject;
}

/** What a subscriber receives. Source: Standard Webhooks 1.0. */
const webhook: ZodOpenApiOperationObject = {
  operationId: 'receiveEvent',
  tags: ['Webhooks'],
  summary: 'An event reaches a subscriber',
  description:
    'Sent to the URL of every subscription that wants the event, at least once and in no promised order. Verify the signature over `webhook-id.webhook-timestamp.body`, answer 2xx within the deadline (5 seconds unless configured) and work afterwards; drop what you have seen by `webhook-id`.',
  security: [],
  requestParams: {
    header: z.object({
      'webhook-id': z.string().meta({
        description: 'The id of the event: the same on every attempt.',
        example: 'evt_01kakz5gcxf4v8b6t0j3n5q7r9',
      }),
      'webhook-timestamp': z.string().meta({
        description: 'When this attempt was made, in seconds since 1970.',
        example: '1795426200',
      }),
      'webhook-signature': z.string().meta({
        description: 'One or more `v1,` signatures (HMAC-SHA256, base64), separated by spaces.',
        example: 'v1,K5oZfzN95Z9UVu1EsfQmfVNQhnkZ2pj9o9NDN/H/pI4=',
      }),
      'user-agent': z.string().meta({ description: 'Says who is sending.' }),
    }),
  },
  requestBody: {
    required: true,
    content: {
      'application/json': {
        schema: z
          .object({
            type: z.string().meta({ example: 'invoice.paid' }),
            timestamp: z.iso.datetime().meta({ description: 'When it happened.' }),
            data: z.unknown().meta({ description: 'What the producer sent, byte for byte.' }),
          })
          .meta({ id: 'WebhookBody' }),
      },
    },
  },
  responses: {
    '2XX': { description: 'Taken. The body of the answer is kept for the log, up to 16 KiB.' },
    '410': { description: 'Gone: after a second one a minute later the subscription is disabled.' },
    '429': {
      description: 'Too fast: nothing more is sent to this subscription until `retry-after` has passed.',
      headers: {
        'retry-after': { description: 'Seconds, or an HTTP date.', schema: { type: 'string' } },
      },
    },
    default: {
      description: 'Not taken: tried again by the retry policy. Redirects are not followed.',
    },
  },
};
