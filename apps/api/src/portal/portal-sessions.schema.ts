import { z } from 'zod';
import { plainText, tenantId, timestamp } from '../http/field-schemas.js';
import { operation } from '../http/operation.js';
import { idParam } from '../http/request-schemas.js';

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;
const MAX_NAME_LENGTH = 100;
const MAX_RADIUS_PX = 24;

const WEB_ADDRESS = 'an `https:` URL; `http:` as well where the deployment allows it for targets';

const theme = z.strictObject({
  name: plainText(MAX_NAME_LENGTH)
    .nullable()
    .optional()
    .meta({ description: 'Your product, as its customers know it.', example: 'Acme Billing' }),
  logoUrl: z
    .string()
    .nullable()
    .optional()
    .meta({
      description: `Shown beside the name: ${WEB_ADDRESS}. The visitor's browser loads it.`,
      example: 'https://acme.example/logo.svg',
    }),
  accentColor: z
    .string()
    .regex(/^#[0-9A-Fa-f]{6}$/, 'must be a colour like #0a7d5a')
    .nullable()
    .optional()
    .meta({ description: 'Of buttons and links.', example: '#0a7d5a' }),
  radiusPx: z
    .int()
    .min(0)
    .max(MAX_RADIUS_PX)
    .nullable()
    .optional()
    .meta({ description: 'How round corners are.', example: 8 }),
  mode: z
    .enum(['light', 'dark', 'auto'])
    .default('auto')
    .meta({ description: '`auto`: as the visitor has it everywhere.' }),
});

export const newPortalSession = z
  .strictObject({
    tenant: tenantId,
    ttlMs: z
      .int()
      .min(MINUTE_MS)
      .max(DAY_MS)
      .default(HOUR_MS)
      .meta({ description: 'How long it works: a minute to a day.' }),
    readOnly: z.boolean().default(false).meta({ description: 'Whether its visitor may only look.' }),
    theme: theme.default({ mode: 'auto' }),
    returnUrl: z
      .string()
      .nullable()
      .optional()
      .meta({
        description: `Where a link leads back to: ${WEB_ADDRESS}.`,
        example: 'https://acme.example/settings',
      }),
  })
  .meta({ id: 'NewPortalSession' });

const createdPortalSession = z
  .object({
    id: z.string().meta({ example: 'ses_01kasn5n6yf1rtv9dqj9j0q5tr' }),
    url: z.string().meta({
      description:
        'To open in a tab or a frame. The token is in the fragment, which no server and no log gets to see.',
      example: 'https://hooks.example/portal#token=php_…',
    }),
    token: z.string().meta({
      description: 'The same token, shown this once: for calling this API from a page of your own.',
      example: 'php_01kasn5n6yf1rtv9dqj9j0q5tr_…',
    }),
    tenant: tenantId,
    expiresAt: timestamp,
  })
  .meta({ id: 'CreatedPortalSession' });

export const portalSessionPath = z.strictObject({ id: idParam('ses') });

const shared = { tag: 'Sessions', scope: 'subscriptions:write' } as const;

export const createPortalSessionOperation = operation({
  ...shared,
  id: 'createPortalSession',
  summary: "Make a link to a tenant's portal",
  description:
    "A page on which the tenant's own people look after their subscriptions and see their deliveries. It shows what is of this tenant, may do no more than the key that makes it, and ends with that key. Its visitor cannot change the limits of a subscription.",
  body: newPortalSession,
  answers: { 201: { description: 'The link, shown this once.', schema: createdPortalSession } },
  problems: ['tenant_not_found'],
});

export const deletePortalSessionOperation = operation({
  ...shared,
  id: 'deletePortalSession',
  summary: "End a link to a tenant's portal",
  description: 'The very next request with it is refused, by every process.',
  params: portalSessionPath,
  answers: { 204: { description: 'It is over.' } },
  problems: ['portal_session_not_found'],
});
