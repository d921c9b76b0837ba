import { decodeId, type IdPrefix } from '@posthorn/core';
import { z } from 'zod';

function patternOf(prefix: IdPrefix): string {
  return `^${prefix}_[0-7][0-9a-hjkmnp-tv-z]{25}$`;
}

/** An id in the path, as uuid; undefined when it was made up, which is answered like one that does not exist. */
export function idParam(prefix: IdPrefix) {
  return z
    .string()
    .transform((text) => decodeId(prefix, text))
    .meta({ override: { type: 'string', pattern: patternOf(prefix) } });
}

/** An id to filter by, as uuid; one that was made up is refused. */
export function idFilter(prefix: IdPrefix) {
  return z
    .string()
    .transform((text, context) => {
      const id = decodeId(prefix, text);
      if (id === undefined) context.addIssue({ code: 'custom', message: `must be an id like ${prefix}_…` });
      return id;
    })
    .meta({ override: { type: 'string', pattern: patternOf(prefix) } });
}

/** What is said of text that is no time. */
export const TIME_FORM = 'must be an RFC 3339 date and time with an offset, such as 2026-11-23T09:30:00Z';

/** A time to filter by, as milliseconds since 1970; nothing here is older than that. */
export const timeFilter = z.iso
  .datetime({ offset: true, error: TIME_FORM })
  .transform((text) => Math.max(0, Date.parse(text)))
  .meta({ override: { type: 'string', format: 'date-time' } });
