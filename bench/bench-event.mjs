/** What every event of the bench is called, and every subscription of it asks for. */
export const EVENT_TYPE = 'bench.event';

const TIMESTAMP_CHARACTERS = 24;
const PAD = 'x'.repeat(64 * 1024);

/**
 * The text of `data`: which stream it belongs to, its number there, and when it was to be emitted, on the clock of
 * clock.mjs. It is as long as makes the body that the receiver gets `bodyBytes` long.
 */
export function benchData(stream, n, dueMs, bodyBytes) {
  const stamp = `{"stream":"${stream}","n":${n},"dueMs":${dueMs.toFixed(3)},"pad":"`;
  const around = `{"type":"${EVENT_TYPE}","timestamp":"","data":}`.length + TIMESTAMP_CHARACTERS;
  return `${stamp}${PAD.slice(0, Math.max(0, bodyBytes - around - stamp.length - 2))}"}`;
}

/** Finds the stamp near the start of a delivered body. */
export function readStamp(text) {
  const found = /"stream":"([^"]+)","n":(\d+),"dueMs":([\d.]+)/.exec(text);
  return found && { stream: found[1], n: Number(found[2]), dueMs: Number(found[3]) };
}
