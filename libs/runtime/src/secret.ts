import { inspect } from 'node:util';

const SHOWN = '[secret]';

/**
 * A text that must not be printed. Whatever turns it into text (a template, JSON, `util.inspect`, a
 * logger) gets `[secret]`; the only way out is `reveal()`, so that a search for it finds every use.
 */
export class Secret {
  readonly #value: string;

  constructor(value: string) {
    this.#value = value;
  }

  reveal(): string {
    return this.#value;
  }

  toString(): string {
    return SHOWN;
  }

  toJSON(): string {
    return SHOWN;
  }

  [inspect.custom](): string {
    return SHOWN;
  }
}
