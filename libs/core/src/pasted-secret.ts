import type { SignatureFinding } from './signature-check.js';
import { parseSecret } from './signing.js';

export interface PastedSecret {
  key: Uint8Array;
  /** As it was meant, with its prefix. */
  text: string;
}

const PREFIX = 'whsec_';
const FAULTS = {
  space_around: 'has space or a line break around it',
  quotes: 'stands in quotes',
  url_safe: 'is written in base64url',
  prefix_missing: 'lacks its prefix "whsec_", which libraries allow',
  length: 'is not of 24 to 64 bytes',
} as const;
type Fault = keyof typeof FAULTS;
/** With these, libraries verify all the same. */
const TOLERATED: readonly Fault[] = ['prefix_missing', 'length'];

/** The key of a secret as somebody pasted it; what had to be mended for that, or that it cannot be read, is a finding. */
export function readPastedSecret(given: string, findings: SignatureFinding[]): PastedSecret | undefined {
  const exact = parseSecret(given);
  if (exact) return { key: exact, text: given };
  const faults: Fault[] = [];
  const mended = (fault: Fault, before: string, after: string): string => {
    if (after !== before) faults.push(fault);
    return after;
  };
  let bare = mended('space_around', given, given.replaceAll(/^(?:\s|\\[nr])+|(?:\s|\\[nr])+$/g, ''));
  bare = mended('quotes', bare, bare.replace(/^(["'`])(.*)\1$/s, '$2'));
  if (bare.startsWith(PREFIX)) bare = bare.slice(PREFIX.length);
  else faults.push('prefix_missing');
  bare = mended('url_safe', bare, bare.replaceAll('-', '+').replaceAll('_', '/'));
  const key = Buffer.from(bare, 'base64');
  const isBase64 = key.length > 0 && key.toString('base64').replace(/=+$/, '') === bare.replace(/=+$/, '');
  if (!isBase64) {
    findings.push({
      code: 'secret_malformed',
      severity: 'error',
      words: 'The secret you pasted cannot be read: it is "whsec_" and base64.',
      details: { how: [] },
    });
    return undefined;
  }
  if (parseSecret(PREFIX + bare) === undefined) faults.push('length');
  findings.push({
    code: 'secret_malformed',
    severity: faults.every((fault) => TOLERATED.includes(fault)) ? 'warning' : 'error',
    words: `The secret you pasted ${faults.map((fault) => FAULTS[fault]).join(', and ')}.`,
    details: { how: faults },
  });
  return { key, text: PREFIX + bare };
}
