import { isEventType, isTenantId, MAX_EVENT_TYPE_LENGTH, SYSTEM_TENANT } from '@posthorn/core';
import { z } from 'zod';

/** What Postgres cannot store as text: NUL, and halves of surrogate pairs. */
const UNSTORABLE = /\0|\p{Surrogate}/u;

const MAX_METADATA_ENTRIES = 50;
const MAX_METADATA_NAME_LENGTH = 64;
const MAX_METADATA_VALUE_LENGTH = 500;

/** Text for people, of at most `max` UTF-16 code units. */
export function plainText(max: number): z.ZodString {
  return z
    .string()
    .max(max)
    .refine((text) => !UNSTORABLE.test(text), 'must not hold NUL or half of a surrogate pair');
}

const TENANT_FORM = 'must be 1 to 128 letters, digits, "_", "." or "-", beginning with a letter or digit';

/** A tenant of the producer's. */
export const tenantId = z
  .string()
  .refine(isTenantId, {
    error: ({ input }) =>
      input === SYSTEM_TENANT
        ? `is Posthorn's own, which only subscribing and reading may name: ${TENANT_FORM}`
        : TENANT_FORM,
  })
  .meta({
    description: 'Chosen by the producer.',
    example: 'acme',
    pattern: '^[A-Za-z0-9][A-Za-z0-9_.-]{0,127}$',
  });

/** A tenant of the producer's, or Posthorn's own: for what a key that may do everything subscribes to and reads. */
export const anyTenantId = z
  .string()
  .refine((text) => text === SYSTEM_TENANT || isTenantId(text), TENANT_FORM)
  .meta({
    description: `Chosen by the producer; \`${SYSTEM_TENANT}\` is Posthorn's own, for an admin key of all tenants.`,
    example: 'acme',
    pattern: `^(${SYSTEM_TENANT}|[A-Za-z0-9][A-Za-z0-9_.-]{0,127})$`,
  });

export const eventTypeName = z
  .string()
  .refine(
    isEventType,
    `must be words of letters, digits, "_" and "-", joined by dots, such as invoice.paid; at most ${MAX_EVENT_TYPE_LENGTH} characters`,
  )
  .meta({
    example: 'invoice.paid',
    pattern: '^[A-Za-z0-9_-]+(\\.[A-Za-z0-9_-]+)*$',
    maxLength: MAX_EVENT_TYPE_LENGTH,
  });

/** The producer's own notes on a resource: never read by us. */
export const metadata = z
  .record(plainText(MAX_METADATA_NAME_LENGTH).min(1), plainText(MAX_METADATA_VALUE_LENGTH))
  .refine(
    (entries) => Object.keys(entries).length <= MAX_METADATA_ENTRIES,
    `must have at most ${MAX_METADATA_ENTRIES} entries`,
  )
  .meta({ description: 'Your own notes: names and texts. Never interpreted.', example: { team: 'billing' } });

/** RFC 3339 in UTC with milliseconds, as every time is answered. */
export const timestamp = z.iso.datetime({ precision: 3 }).meta({ example: '2026-11-23T09:30:00.000Z' });
