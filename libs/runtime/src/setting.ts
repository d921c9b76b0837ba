import { z } from 'zod';

/** The chapters of docs/configuration.md, in its order. */
export const SECTIONS = [
  'Storage',
  'Processes',
  'Accepting events',
  'Targets',
  'Attempts and retries',
  'Fairness',
  'Retention',
  'Worker',
  'Shutdown',
] as const;
export type Section = (typeof SECTIONS)[number];

/** How the text of an environment variable becomes a value. */
export interface Kind<Value> {
  /** Completes the sentence "must be …", in error messages and in the documentation. */
  accepts: string;
  schema: z.ZodType<Value, string>;
  /** A wrong value of this kind is not quoted back: it may hold a password. */
  confidential?: true;
  /** What of a text may be shown to an operator. Absent: nothing, so that a new kind is hidden until somebody thought of it. */
  shown?: (text: string) => string;
}

/** For kinds whose values cannot hold a secret. */
export const shownWhole = (text: string): string => text;

/** One row of the settings table. */
export interface Setting<Value> {
  section: Section;
  accepts: string;
  schema: z.ZodType<unknown, string>;
  confidential: boolean;
  /** See `Kind`. */
  shown: ((text: string) => string) | undefined;
  required: boolean;
  /** Text the variable has when it is not set, read by the same schema. Absent: the value is `undefined`. */
  defaultText: string | undefined;
  /** What the documentation says in place of a default that is worked out. */
  defaultShown: string | undefined;
  meaning: string;
  /** Only carries the type. */
  readonly value?: Value;
}

interface Row<Value> {
  section: Section;
  kind: Kind<Value>;
  meaning: string;
}

function setting<Value>(row: Row<unknown>, rest: Partial<Setting<Value>>): Setting<Value> {
  return {
    section: row.section,
    accepts: row.kind.accepts,
    schema: row.kind.schema,
    confidential: row.kind.confidential ?? false,
    shown: row.kind.shown,
    required: false,
    defaultText: undefined,
    defaultShown: undefined,
    meaning: row.meaning,
    ...rest,
  };
}

export function required<Value>(section: Section, kind: Kind<Value>, meaning: string): Setting<Value> {
  return setting({ section, kind, meaning }, { required: true });
}

export function optional<Value>(
  section: Section,
  kind: Kind<Value>,
  meaning: string,
): Setting<Value | undefined> {
  return setting({ section, kind, meaning }, {});
}

/** A setting whose default depends on others; `loadConfig` fills it in. */
export function derived<Value>(
  section: Section,
  kind: Kind<Value>,
  shown: string,
  meaning: string,
): Setting<Value> {
  return setting({ section, kind, meaning }, { defaultShown: shown });
}

/** @param defaultShown what the documentation shows where the default changes with every release. */
export function defaulting<Value>(
  section: Section,
  kind: Kind<Value>,
  defaultText: string | { text: string; shown: string },
  meaning: string,
): Setting<Value> {
  const { text, shown } =
    typeof defaultText === 'string' ? { text: defaultText, shown: undefined } : defaultText;
  return setting({ section, kind, meaning }, { defaultText: text, defaultShown: shown });
}

export function integer(min: number, max: number): Kind<number> {
  return {
    accepts: `a whole number from ${min} to ${max}`,
    shown: shownWhole,
    schema: z
      .string()
      .regex(/^\d{1,15}$/)
      .transform(Number)
      .pipe(z.number().min(min).max(max)),
  };
}

export function decimal(min: number, max: number): Kind<number> {
  return {
    accepts: `a number from ${min} to ${max}`,
    shown: shownWhole,
    schema: z
      .string()
      .regex(/^\d{1,9}(\.\d{1,9})?$/)
      .transform(Number)
      .pipe(z.number().min(min).max(max)),
  };
}

export function oneOf<const Word extends string>(...words: readonly Word[]): Kind<Word> {
  return {
    accepts: words.map((word) => `\`${word}\``).join(' or '),
    shown: shownWhole,
    schema: z.string().refine((line): line is Word => (words as readonly string[]).includes(line)),
  };
}

const words = oneOf('true', 'false');
export const flag: Kind<boolean> = { ...words, schema: words.schema.transform((line) => line === 'true') };

/** @param accepts completes "must be …". */
export function text(accepts: string, pattern: RegExp): Kind<string> {
  return { accepts, schema: z.string().regex(pattern) };
}

/** Entries separated by commas; blank ones are dropped, so that a trailing comma does no harm. */
export function list<Entry>(accepts: string, entry: z.ZodType<Entry, string>): Kind<readonly Entry[]> {
  return {
    accepts,
    schema: z
      .string()
      .transform((line) =>
        line
          .split(',')
          .map((part) => part.trim())
          .filter((part) => part !== ''),
      )
      .pipe(z.array(entry)),
  };
}

/** A URL of one of `protocols` (written `http:`); `check` says what else is wrong with it. */
export function url(
  accepts: string,
  protocols: readonly string[],
  check: (url: URL) => boolean = () => true,
): Kind<string> {
  return {
    accepts,
    confidential: true,
    shown: withoutCredentials,
    schema: z.string().refine((line) => {
      if (!URL.canParse(line)) return false;
      const parsed = new URL(line);
      return protocols.includes(parsed.protocol) && check(parsed);
    }),
  };
}

/** Where a URL leads and as whom. The query is left out as well: drivers take passwords and keys there too. */
function withoutCredentials(line: string): string {
  const parsed = new URL(line);
  parsed.password = '';
  parsed.search = '';
  parsed.hash = '';
  return parsed.href;
}
