export interface Header {
  name: string;
  value: string;
}

const NAME = /^[!#$%&'*+.^_`|~\w-]+$/;
const CURL_HEADER = /(?:^|\s)(?:-H|--header)\s*=?\s*(?:'([^']*)'|"((?:[^"\\]|\\.)*)"|(\S+))/g;
/** A member of an object as languages print it: in any quotes, or in none around the name. */
const PRINTED_MEMBER = /['"]?([\w-]+)['"]?\s*(?::|=>)\s*(?:'((?:[^'\\]|\\.)*)'|"((?:[^"\\]|\\.)*)")/g;

/**
 * Headers in whatever form somebody has them: lines of `name: value` as a log or `curl -v` shows them, `-H` of a curl
 * command, a JSON object or list, or an object as Node, Python or Ruby print it.
 */
export function readHeaders(text: string): Header[] {
  const trimmed = text.trim();
  if (/^[[{]/.test(trimmed)) return ofJson(trimmed) ?? ofPrinted(trimmed);
  const ofCurl = [...trimmed.matchAll(CURL_HEADER)];
  if (ofCurl.length > 0) {
    return ofCurl.flatMap(([, single, double, bare]) => ofLine(single ?? unescaped(double) ?? bare ?? ''));
  }
  return trimmed.split(/\r?\n/).flatMap(ofLine);
}

function ofLine(line: string): Header[] {
  // `curl -v` marks what was sent with > and what came with <.
  const [, name = '', value = ''] = /^[<>]?\s*([^:\s]+)\s*:\s*(.*?)\s*$/.exec(line) ?? [];
  return NAME.test(name) ? [{ name, value }] : [];
}

function ofJson(text: string): Header[] | undefined {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    return undefined;
  }
  const pairs: [unknown, unknown][] = Array.isArray(json)
    ? json.flatMap((entry: unknown): [unknown, unknown][] => {
        if (Array.isArray(entry)) return [[entry[0], entry[1]]];
        const { name, value } = (entry ?? {}) as { name?: unknown; value?: unknown };
        return [[name, value]];
      })
    : Object.entries(json as object);
  return pairs.flatMap(([name, value]) =>
    typeof name === 'string'
      ? [value]
          .flat()
          .map((one: unknown) => ({ name, value: typeof one === 'string' ? one : JSON.stringify(one) }))
      : [],
  );
}

function ofPrinted(text: string): Header[] {
  return [...text.matchAll(PRINTED_MEMBER)].map(([, name = '', single, double]) => ({
    name,
    value: unescaped(single ?? double) ?? '',
  }));
}

function unescaped(quoted: string | undefined): string | undefined {
  return quoted?.replaceAll(/\\(.)/g, '$1');
}
