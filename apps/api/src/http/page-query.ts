import type { Slice } from '@posthorn/store';
import { z } from 'zod';
import { decodeCursor, type PageRequest } from './cursor.js';

const DEFAULT_LIMIT = 50;
const MAX_LIMIT = 250;

/** The parameters every list takes; spread them into the list's own query schema. */
export const pageQuery = {
  limit: z
    .string()
    .regex(/^[1-9]\d{0,5}$/, `must be a whole number from 1 to ${MAX_LIMIT}`)
    .transform(Number)
    .refine((limit) => limit <= MAX_LIMIT, `must be a whole number from 1 to ${MAX_LIMIT}`)
    .optional()
    .meta({
      description: `How many to answer: 1 to ${MAX_LIMIT}.`,
      override: {
        type: 'integer',
        minimum: 1,
        maximum: MAX_LIMIT,
        default: DEFAULT_LIMIT,
        pattern: undefined,
      },
    }),
  cursor: z
    .string()
    .optional()
    .meta({ description: '`nextCursor` or `prevCursor` of an earlier page, with the same filters.' }),
};

/** @param isPosition see `decodeCursor`; for lists that are not ordered by an id */
export function pageRequestOf(
  query: { limit?: number | undefined; cursor?: string | undefined },
  isPosition?: (position: string) => boolean,
): PageRequest {
  return {
    limit: query.limit ?? DEFAULT_LIMIT,
    cursor: query.cursor === undefined ? undefined : decodeCursor(query.cursor, isPosition),
  };
}

/** The same request as the store takes it. */
export function sliceOf({ limit, cursor }: PageRequest): Slice {
  return { limit, ...cursor };
}

/** What a list of `item` answers, newest first. */
export function pageSchema(item: z.ZodType): z.ZodObject {
  const cursor = z.string().nullable();
  return z.object({
    data: z.array(item),
    nextCursor: cursor.meta({ description: 'The page of older ones, or null.' }),
    prevCursor: cursor.meta({ description: 'The page of newer ones, or null.' }),
  });
}
