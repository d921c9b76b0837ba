import type { Config } from './config.js';
import type { Setting } from './setting.js';
import { settings } from './settings.js';

/** A setting as an operator may see it. */
export interface ShownSetting {
  name: string;
  /** As it would be written; null: it is not set, and has no default. */
  value: string | null;
  isDefault: boolean;
  /** Whether the value, or a part of it, is not shown. */
  secret: boolean;
  description: string;
  /** The chapter that has it, from the root of the repository. */
  doc: string;
}

const HIDDEN = '[hidden]';

/**
 * Every setting with the value that holds in this process, in the order of the documentation. What could hold a secret
 * is hidden, unless its kind says what of it may be shown.
 *
 * @param config for what follows from other settings; read from the same `env`
 */
export function shownSettings(config: Config, env: NodeJS.ProcessEnv = process.env): ShownSetting[] {
  return Object.entries<Setting<unknown>>(settings).map(([name, row]) => {
    const given = env[name] === '' ? undefined : env[name];
    const text = given ?? row.defaultText;
    const shown = text === undefined ? undefined : row.shown?.(text);
    return {
      name,
      value: text === undefined ? derivedValue(name, row, config) : (shown ?? HIDDEN),
      isDefault: given === undefined || given === row.defaultText,
      secret: row.confidential || row.shown === undefined,
      description: row.meaning,
      doc: `docs/configuration.md#${row.section.toLowerCase().replaceAll(' ', '-')}`,
    };
  });
}

function derivedValue(name: string, row: Setting<unknown>, config: Config): string | null {
  const value = config[name as keyof Config];
  return value === undefined ? null : (row.shown?.(String(value)) ?? HIDDEN);
}
