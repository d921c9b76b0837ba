import { Fragment } from 'react';
import { Link } from 'react-router';
import type { Schemas } from '../../api/client.ts';
import { CopyButton } from '../../components/copy-button.tsx';
import { Section } from '../../components/page.tsx';
import { ByteDifference, differenceIn } from './byte-difference.tsx';

type SignatureVerdict = Schemas['SignatureVerdict'];
type Finding = SignatureVerdict['findings'][number];

const SEVERITIES = {
  error: { word: 'wrong', tone: 'text-error border-error/40' },
  warning: { word: 'look at it', tone: 'text-warning border-warning/40' },
  info: { word: 'good to know', tone: 'text-info border-info/40' },
} as const satisfies Record<Finding['severity'], unknown>;

/** What a correct receiver makes of a request, and why another one may see it otherwise. */
export function Verdict({ verdict: { verdict, findings, computed } }: { verdict: SignatureVerdict }) {
  const { signedContent, expected } = computed;
  const isWrong = verdict === 'invalid' || findings.some(({ severity }) => severity === 'error');
  return (
    <Section title={isWrong ? 'What is wrong' : 'Verdict'}>
      <p
        role="status"
        className={`mb-4 font-semibold ${verdict === 'valid' ? 'text-success' : 'text-error'}`}
      >
        {verdict === 'valid'
          ? 'Valid: a correct receiver accepts this request.'
          : 'Invalid: a correct receiver refuses this request.'}
      </p>
      <ol className="flex flex-col gap-3" aria-label="Findings">
        {findings.map((finding, index) => (
          <FindingView key={index} finding={finding} />
        ))}
      </ol>
      <dl className="mt-4 text-sm">
        <dt className="text-quiet text-xs">What is signed</dt>
        <dd className="mb-3 font-mono text-xs break-all">
          {signedContent.id ?? '(no webhook-id)'}.{signedContent.timestamp ?? '(no webhook-timestamp)'}.
          <span className="text-quiet">({signedContent.bodyBytes} bytes of body)</span>
        </dd>
        {expected !== null && (
          <>
            <dt className="text-quiet text-xs">The signature of this secret for it</dt>
            <dd className="flex items-center gap-2">
              <code className="text-xs break-all">{expected}</code>
              <CopyButton text={expected} label="Copy the signature" />
            </dd>
          </>
        )}
      </dl>
    </Section>
  );
}

function FindingView({ finding: { code, words, severity, details } }: { finding: Finding }) {
  const { word, tone } = SEVERITIES[severity];
  const difference = differenceIn(details);
  return (
    <li className="border-base-300 bg-base-100 rounded-box border p-4">
      <p className="flex flex-wrap items-baseline gap-x-3 gap-y-1">
        <span
          className={`rounded-selector border px-1.5 py-0.5 text-xs font-medium whitespace-nowrap ${tone}`}
        >
          {word}
        </span>
        <code className="text-quiet text-xs">{code}</code>
      </p>
      <p className="mt-2 break-words">
        <bdi>
          <Words text={words} />
        </bdi>
      </p>
      {code === 'computed_unexplained' && (
        <p className="mt-2">
          Log what your code signs, byte by byte, and compare it with what is signed, below.
        </p>
      )}
      {difference && <ByteDifference difference={difference} />}
    </li>
  );
}

const SUBSCRIPTION_ID = /(sub_[0-7][0-9a-hjkmnp-tv-z]{25})/;

/** With a link to each subscription that is named. */
function Words({ text }: { text: string }) {
  return text.split(SUBSCRIPTION_ID).map((part, at) =>
    SUBSCRIPTION_ID.test(part) ? (
      <Link key={at} to={`/subscriptions/${part}`} className="link break-all">
        {part}
      </Link>
    ) : (
      <Fragment key={at}>{part}</Fragment>
    ),
  );
}
