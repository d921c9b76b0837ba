/** Strings, what structures them, or anything else that is no space. */
const TOKEN = /"[^"\\]*(?:\\.[^"\\]*)*"|[{}[\],:]|[^\s{}[\],:"]+/g;

/**
 * The text of one member's value as it was written: reading it as a value would make `100` of `100.00` and round a
 * number of twenty digits.
 *
 * @param json the text of an object
 * @returns undefined when it has no such member
 */
export function memberText(json: string, name: string): string | undefined {
  const key = JSON.stringify(name);
  let depth = 0;
  let before = '';
  let start: number | undefined;
  for (const { 0: token, index } of json.matchAll(TOKEN)) {
    if (start !== undefined && depth === 1 && (token === ',' || token === '}')) {
      return json.slice(start, index).trim();
    }
    if (token === '{' || token === '[') depth += 1;
    else if (token === '}' || token === ']') depth -= 1;
    else if (token === ':' && depth === 1 && before === key) start ??= index + 1;
    before = token;
  }
  return undefined;
}

/** Why text is no JSON, in the words of the browser; `undefined` when it is. */
export function jsonProblem(text: string): string | undefined {
  if (text.trim() === '') return 'Nothing is here yet. JSON without content is null, {} or [].';
  try {
    JSON.parse(text);
    return undefined;
  } catch (error) {
    return `This is no JSON: ${error instanceof Error ? error.message : 'it cannot be read'}`;
  }
}

/** An object with members that are JSON text already, which is sent as it stands. */
export function objectText(members: Readonly<Record<string, string | undefined>>): string {
  const written = Object.entries(members).flatMap(([name, json]) =>
    json === undefined ? [] : [`${JSON.stringify(name)}:${json}`],
  );
  return `{${written.join(',')}}`;
}
