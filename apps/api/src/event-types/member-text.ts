const SPACE = /[ \t\n\r]*/y;
const STRING = /"[^"\\]*(?:\\.[^"\\]*)*"/y;
/** A number or a word. */
const PLAIN = /[^,:\]}\s]+/y;

/**
 * The text of one member's value, as it was written: reading and writing it again would round its numbers.
 *
 * @param text of a JSON object that `JSON.parse` has accepted
 * @returns undefined when there is no such member; of several, the last, as `JSON.parse` has it
 */
export function memberText(text: string, name: string): string | undefined {
  let at = text.indexOf('{') + 1;
  let found: string | undefined;
  const skip = (pattern: RegExp): string => {
    pattern.lastIndex = at;
    const matched = pattern.exec(text)?.[0] ?? '';
    at += matched.length;
    return matched;
  };
  for (;;) {
    skip(SPACE);
    if (text[at] !== '"') return found;
    const key = JSON.parse(skip(STRING)) as string;
    skip(SPACE);
    at += 1; // the colon
    skip(SPACE);
    const start = at;
    let depth = 0;
    do {
      const char = text[at];
      if (char === '"') skip(STRING);
      else if (char !== undefined && '{}[],:'.includes(char)) {
        depth += char === '{' || char === '[' ? 1 : char === '}' || char === ']' ? -1 : 0;
        at += 1;
      } else skip(PLAIN);
      if (depth > 0) skip(SPACE);
    } while (depth > 0);
    if (key === name) found = text.slice(start, at);
    skip(SPACE);
    at += 1; // the comma, or the end
  }
}
