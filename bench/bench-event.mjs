import { createRequire } from 'node:module';

/** What every event of the bench is called, and every subscription of it asks for. */
export const EVENT_TYPE = 'bench.event';

const TIMESTAMP_CHARACTERS = 24;
const PAD = 'x'.repeat(64 * 1024);

/**
 * The text of `data`: which stream it belongs to, its number there, and when it was to be emitted, on the clock of
 * clock.mjs. With a number as `body` it is as long as makes the body that the receiver gets that many bytes long; with
 * `'github'` it holds one of GitHub's published webhooks, each in its turn.
 */
export function benchData(stream, n, dueMs, body) {
  const stamp = `{"stream":"${stream}","n":${n},"dueMs":${dueMs.toFixed(3)}`;
  if (body === 'github') return `${stamp},"payload":${githubPayload(n)}}`;
  const around = `{"type":"${EVENT_TYPE}","timestamp":"","data":,"pad":""}`.length + TIMESTAMP_CHARACTERS;
  return `${stamp},"pad":"${PAD.slice(0, Math.max(0, body - around - stamp.length - 1))}"}`;
}

let githubPayloads;
function githubPayload(n) {
  githubPayloads ??= createRequire(import.meta.url)('@octokit/webhooks-examples').flatMap(({ examples }) =>
    examples.map((example) => JSON.stringify(example)),
  );
  return githubPayloads[n % githubPayloads.length];
}

/** Finds the stamp near the start of a delivered body. */
export function readStamp(text) {
  const found = /"stream":"([^"]+)","n":(\d+),"dueMs":([\d.]+)/.exec(text);
  return found && { stream: found[1], n: Number(found[2]), dueMs: Number(found[3]) };
}
