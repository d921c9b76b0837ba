import type { PastedSecret } from './pasted-secret.js';
import type { SignatureCheck, SignatureFinding } from './signature-check.js';
import { mistakesBehind } from './signature-mistakes.js';
import type { SignedHeaders } from './signed-headers.js';
import { formatSecret } from './signing.js';

/** Marks what is said of the receiver's code, and not of the request. */
const OF_CODE = { of: 'computedSignature' } as const;

/** By which mistakes the receiver's own code came to the signature it computed; none of this is about the request. */
export function explainComputed(
  check: SignatureCheck,
  headers: SignedHeaders,
  pasted: PastedSecret | undefined,
  trusted: readonly Uint8Array[],
): SignatureFinding[] {
  const computed = check.computed ?? '';
  const { id, timestamp, signatures } = headers;
  if (signatures.includes(computed.trim().replace(/^v1,/, ''))) {
    return [
      right('What your code computed is in the header: it must accept it. Look at how it compares the two.'),
    ];
  }
  if (id === undefined || timestamp === undefined)
    return [unexplained('The headers it is made from are missing.')];
  const secrets = pasted ? [pasted] : trusted.map((key) => ({ key, text: formatSecret(key) }));
  const bodies = check.sent?.body ? [check.body, check.sent.body] : [check.body];
  for (const body of bodies) {
    for (const secret of secrets) {
      const mistakes = mistakesBehind(computed, { ...secret, id, timestamp, body });
      if (mistakes?.length === 0) {
        return [
          right(
            body === check.body
              ? 'What your code computed is right for this id, this timestamp and this body.'
              : 'What your code computed is right for the body as it was sent, which is not the one you pasted.',
          ),
        ];
      }
      if (mistakes) {
        return mistakes.map(({ code, words, details }) => ({
          code,
          severity: 'error',
          words: `Your code computes another signature, because it ${words}.`,
          details: { ...details, ...OF_CODE },
        }));
      }
    }
  }
  const other = check.keys.find(({ key }) => {
    const signed = { key, text: formatSecret(key), id, timestamp, body: check.body };
    return mistakesBehind(computed, signed, 0) !== undefined;
  });
  if (!other)
    return [unexplained('It is not the result of any mistake that is known, nor of any secret that is.')];
  const { subscription, isOfAnother } = other;
  return [
    {
      code: isOfAnother
        ? 'secret_of_other_subscription'
        : other.endedAtMs === null
          ? 'secret_wrong'
          : 'secret_rotated_out',
      severity: 'error',
      words: `Your code computes with another secret of ${subscription}${
        isOfAnother
          ? ', another subscription of this tenant'
          : other.endedAtMs === null
            ? ''
            : ', one that was rotated out'
      }.`,
      details: { subscription, ...OF_CODE },
    },
  ];
}

function right(words: string): SignatureFinding {
  return { code: 'computed_right', severity: 'info', words, details: OF_CODE };
}

function unexplained(words: string): SignatureFinding {
  return {
    code: 'computed_unexplained',
    severity: 'warning',
    words: `Nobody can say how your code came to its signature. ${words}`,
    details: OF_CODE,
  };
}
