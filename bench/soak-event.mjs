// What is emitted in a soak: everything about an event follows from its tenant and its number, so that the receiver can
// tell each byte of what it gets.

const TYPES = ['soak.order.paid', 'soak.order.shipped', 'soak.customer.created'];

export const typeOf = (n) => TYPES[n % TYPES.length];

/** Whether a subscription to `pattern` gets events of `type`, said anew and not by what is tested. */
export const isWanted = (pattern, type) =>
  pattern === '*' || pattern === type || (pattern.endsWith('.*') && type.startsWith(pattern.slice(0, -1)));

/** What a JSON library would have changed: spaces, escapes, numbers, the order of names, the same name twice. */
const ODDITIES = [
  '{ "b" : 1 ,"a":[ ] }',
  '"\\u0041\\/\\ud83d\\ude00"',
  '12345678901234567890.10',
  '1E400',
  '{"x":1,"x":2}',
  '"Grüße, 你好, 😀 \u2028"',
  'null',
  '-0.0',
];
const TEXT = 'The quick brown fox jumps over the lazy dög; '.repeat(6_000);
/** Characters of padding; by number, most are small. */
const SIZES = [0, 50, 200, 200, 500, 500, 900, 1_500, 3_000, 20_000];
const LARGE = { every: 997, characters: 230_000 };

/** The text of `data`. */
export function dataText(tenant, n) {
  const size = n % LARGE.every === 0 ? LARGE.characters : SIZES[(n * 7) % SIZES.length];
  const from = n % 45;
  return `{"tenant":"${tenant}","n":${n}, "odd":${ODDITIES[n % ODDITIES.length]},"text":"${TEXT.slice(from, from + size)}"}`;
}

/** Finds them, and the event's timestamp, at the start of a delivered body. */
export function readOrigin(text) {
  const found = /^\{"type":"[^"]*","timestamp":"([^"]+)","data":\{"tenant":"([^"]+)","n":(\d+),/.exec(text);
  return found && { timestamp: found[1], tenant: found[2], n: Number(found[3]) };
}
