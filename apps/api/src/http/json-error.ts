/** Where a text stops being JSON. */
export interface JsonError {
  /** 1-based. */
  line: number;
  /** 1-based, in UTF-16 code units. */
  column: number;
  /** Completes "line 3, column 7: …". */
  found: string;
}

const WHITESPACE = /[ \t\n\r]*/y;
const NUMBER = /-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?/y;
const WORD = /true|false|null/y;
const ESCAPE = /\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})/y;

type Expecting = 'value' | 'value or ]' | 'name' | 'name or }' | ':' | ', or ]' | ', or }' | 'string' | 'end';

/**
 * Finds the first character of `text` that JSON does not allow there (RFC 8259). V8 says so only for some errors and
 * in words that change between versions. Iterative: depth costs an array entry, not stack.
 *
 * @param text that `JSON.parse` refused; for a valid text the answer is its end
 */
export function locateJsonError(text: string): JsonError {
  const open: ('{' | '[')[] = [];
  let at = 0;
  let expecting: Expecting = 'value';
  const skip = (pattern: RegExp): boolean => {
    pattern.lastIndex = at;
    if (!pattern.test(text)) return false;
    at = pattern.lastIndex;
    return true;
  };
  /** Moves to the end of the string at `at`, or to the first character that cannot be in one. */
  const skipString = (): boolean => {
    if (text[at] !== '"') return false;
    for (at += 1; ;) {
      const char = text[at];
      if (char === '"') {
        at += 1;
        return true;
      }
      if (char === undefined || char < ' ') return false;
      if (char !== '\\') at += 1;
      else if (!skip(ESCAPE)) return false;
    }
  };
  const afterValue = (): Expecting => {
    const inside = open.at(-1);
    if (inside === undefined) return 'end';
    return inside === '{' ? ', or }' : ', or ]';
  };
  for (;;) {
    skip(WHITESPACE);
    const char = text[at];
    if (char === undefined) return errorAt(text, at, expecting);
    switch (expecting) {
      case 'value':
      case 'value or ]':
        if (char === '{' || char === '[') {
          open.push(char);
          at += 1;
          expecting = char === '{' ? 'name or }' : 'value or ]';
        } else if (char === ']' && expecting === 'value or ]') {
          open.pop();
          at += 1;
          expecting = afterValue();
        } else if (skipString() || skip(NUMBER) || skip(WORD)) expecting = afterValue();
        else return errorAt(text, at, char === '"' ? 'string' : expecting);
        break;
      case 'name':
      case 'name or }':
        if (char === '}' && expecting === 'name or }') {
          open.pop();
          at += 1;
          expecting = afterValue();
        } else if (skipString()) expecting = ':';
        else return errorAt(text, at, char === '"' ? 'string' : expecting);
        break;
      case ':':
        if (char !== ':') return errorAt(text, at, expecting);
        at += 1;
        expecting = 'value';
        break;
      case ', or ]':
      case ', or }':
        if (char === ',') {
          at += 1;
          expecting = expecting === ', or ]' ? 'value' : 'name';
        } else if (char === expecting.at(-1)) {
          open.pop();
          at += 1;
          expecting = afterValue();
        } else return errorAt(text, at, expecting);
        break;
      case 'string':
      case 'end':
        return errorAt(text, at, expecting);
    }
  }
}

function errorAt(text: string, at: number, expecting: Expecting): JsonError {
  const before = text.slice(0, at);
  const line = before.split('\n').length;
  const column = at - before.lastIndexOf('\n');
  const char = text.codePointAt(at);
  const what = char === undefined ? 'the text ends' : `found ${nameOf(char)}`;
  return { line, column, found: `${what} where ${WORDS[expecting]} is expected` };
}

const WORDS: Record<Expecting, string> = {
  value: 'a value',
  'value or ]': 'a value or "]"',
  name: 'a name in double quotes',
  'name or }': 'a name in double quotes or "}"',
  ':': '":"',
  ', or ]': '"," or "]"',
  ', or }': '"," or "}"',
  string: 'the rest of a string',
  end: 'nothing more',
};

function nameOf(codePoint: number): string {
  const printable = codePoint > 0x20 && codePoint < 0x7f;
  return printable
    ? `"${String.fromCodePoint(codePoint)}"`
    : `U+${codePoint.toString(16).toUpperCase().padStart(4, '0')}`;
}
