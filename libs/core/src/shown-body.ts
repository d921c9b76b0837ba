import { isUtf8 } from 'node:buffer';

/**
 * The kept bytes of an answer as JSON can hold them: as text where they are UTF-8, in base64 otherwise. A body that was
 * cut may end within a character: up to three bytes of one are left out.
 */
export function shownBody(
  body: Buffer,
  truncated: boolean,
): { body: string; bodyEncoding: 'utf8' | 'base64' } {
  for (let cut = 0; cut <= (truncated ? 3 : 0); cut += 1) {
    const text = body.subarray(0, Math.max(0, body.length - cut));
    if (isUtf8(text)) return { body: text.toString('utf8'), bodyEncoding: 'utf8' };
  }
  return { body: body.toString('base64'), bodyEncoding: 'base64' };
}
