/** What is wrong with a certificate, as far as its owner can do something about it. */
export type CertificateProblem =
  | 'expired'
  | 'not_yet_valid'
  | 'self_signed'
  | 'name_mismatch'
  | 'incomplete_chain'
  | 'unknown_issuer'
  | 'other';

/** Codes of OpenSSL and Node, as `tls.TLSSocket.authorizationError` has them. */
const PROBLEMS: Partial<Record<string, CertificateProblem>> = {
  CERT_HAS_EXPIRED: 'expired',
  CERT_NOT_YET_VALID: 'not_yet_valid',
  DEPTH_ZERO_SELF_SIGNED_CERT: 'self_signed',
  SELF_SIGNED_CERT_IN_CHAIN: 'unknown_issuer',
  ERR_TLS_CERT_ALTNAME_INVALID: 'name_mismatch',
  HOSTNAME_MISMATCH: 'name_mismatch',
  // The issuer of the only certificate that was sent is not known: mostly because it was not sent.
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'incomplete_chain',
  UNABLE_TO_GET_ISSUER_CERT: 'unknown_issuer',
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: 'unknown_issuer',
};

export function certificateProblem(code: string): CertificateProblem {
  return PROBLEMS[code] ?? 'other';
}

interface Words {
  /** Said of the certificate. */
  is: string;
  /** What to do, without a full stop. */
  advice: string;
}

/** @param host that it should be valid for */
export function wordsOfCertificate(problem: CertificateProblem, code: string, host: string): Words {
  switch (problem) {
    case 'expired':
      return { is: 'has expired', advice: `Renew the certificate of ${host}` };
    case 'not_yet_valid':
      return {
        is: 'is not valid yet',
        advice: `See to the clock of whoever made the certificate of ${host}, or wait until it is valid`,
      };
    case 'self_signed':
      return {
        is: 'is signed by nobody but itself',
        advice: `Get ${host} a certificate of a public authority: nobody vouches for one that it made itself`,
      };
    case 'name_mismatch':
      return {
        is: `is for other names than ${host}`,
        advice: `Get a certificate that names ${host}, or give the subscription a URL with a name that it has`,
      };
    case 'incomplete_chain':
      return {
        is: 'came alone, and its issuer is not known here',
        advice: `Let ${host} send the intermediate certificates along with its own (the "full chain")`,
      };
    case 'unknown_issuer':
      return {
        is: 'comes from an authority that is not trusted here',
        advice: `Get ${host} a certificate of a public authority`,
      };
    case 'other':
      return { is: `was refused (${code})`, advice: `Mend the certificate of ${host}` };
  }
}
