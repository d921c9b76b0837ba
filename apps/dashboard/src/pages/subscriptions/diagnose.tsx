import { useEffect, useState } from 'react';
import { $api, type Schemas } from '../../api/client.ts';
import { ProblemNotice } from '../../components/problem-notice.tsx';
import { StateBadge } from '../../components/state-badge.tsx';
import { formatDuration } from '../../components/time.tsx';
import { DiagnosisDetails } from './diagnosis-details.tsx';

type Diagnosis = Schemas['Diagnosis'];
type Step = Diagnosis['steps'][number];

/** What is looked at, in this order; said before the answer is there. */
const STEPS: readonly { name: Step['name']; label: string }[] = [
  { name: 'url', label: 'URL' },
  { name: 'dns', label: 'DNS' },
  { name: 'tcp', label: 'Connection' },
  { name: 'tls', label: 'TLS' },
  { name: 'http', label: 'Request' },
  { name: 'response', label: 'Response' },
  { name: 'clock', label: 'Clock' },
];
/** The steps come all at once; one after the other they can be followed. */
const STEP_SHOWN_MS = 120;

/** Finds out, at the press of a button, why webhooks do not arrive. */
export function Diagnose({ subscriptionId }: { subscriptionId: string }) {
  const diagnose = $api.useMutation('post', '/v1/subscriptions/{id}/diagnose');
  return (
    <div>
      <p className="text-quiet mb-3 max-w-prose text-sm">
        Sends one signed test event now and looks at every step on its way. It is no delivery: nothing is
        stored or counted, and the subscription stays as it is.
      </p>
      <button
        type="button"
        className="btn btn-primary"
        disabled={diagnose.isPending}
        onClick={() => diagnose.mutate({ params: { path: { id: subscriptionId } } })}
      >
        {diagnose.isPending ? 'Diagnosing …' : diagnose.data ? 'Diagnose again' : 'Diagnose'}
      </button>
      {diagnose.error && (
        <div className="mt-3">
          <ProblemNotice error={diagnose.error} />
        </div>
      )}
      {diagnose.status !== 'idle' && diagnose.status !== 'error' && (
        <Steps key={diagnose.submittedAt} diagnosis={diagnose.data} />
      )}
    </div>
  );
}

function Steps({ diagnosis }: { diagnosis: Diagnosis | undefined }) {
  const shown = useShownCount(diagnosis?.steps.length ?? 0);
  const isWhole = diagnosis !== undefined && shown >= diagnosis.steps.length;
  return (
    <div className="mt-4" aria-busy={!isWhole}>
      <div role="status" className="mb-3 min-h-6">
        {isWhole && (
          <p className="flex flex-wrap items-center gap-2">
            <StateBadge state={diagnosis.verdict} />
            <strong className="min-w-0 font-semibold break-words">{diagnosis.advice}</strong>
          </p>
        )}
      </div>
      <ol
        className="border-base-300 bg-base-100 divide-base-300 divide-y rounded-box border"
        aria-label="Steps"
      >
        {STEPS.map(({ name, label }, index) => {
          const step = index < shown ? diagnosis?.steps.find((one) => one.name === name) : undefined;
          return (
            <li key={name} className="px-3 py-2">
              <div className="flex min-h-7 flex-wrap items-center gap-x-3 gap-y-1">
                <span className="w-24 text-sm font-medium">{label}</span>
                {step ? (
                  <StateBadge state={step.verdict} />
                ) : (
                  <span className="text-quiet text-xs">waits</span>
                )}
                {step && step.verdict !== 'skipped' && (
                  <span className="text-quiet ml-auto text-xs">{formatDuration(step.durationMs)}</span>
                )}
              </div>
              {step && <p className="text-sm break-words">{step.words}</p>}
              {step && step.details !== null && (
                <details className="mt-1">
                  <summary className="text-quiet cursor-pointer text-xs">
                    Details<span className="sr-only"> of {label}</span>
                  </summary>
                  <div className="py-2">
                    <DiagnosisDetails step={step} />
                  </div>
                </details>
              )}
            </li>
          );
        })}
      </ol>
    </div>
  );
}

/** How many are shown by now; all at once for who wants nothing to move. */
function useShownCount(count: number): number {
  const [shown, setShown] = useState(0);
  useEffect(() => {
    if (shown >= count) return undefined;
    const isStill = window.matchMedia('(prefers-reduced-motion: reduce)').matches;
    const timer = setTimeout(() => setShown(isStill ? count : shown + 1), isStill ? 0 : STEP_SHOWN_MS);
    return () => clearTimeout(timer);
  }, [shown, count]);
  return shown;
}
