import { useState, type ReactNode } from 'react';
import type { Schemas } from '../../api/client.ts';
import { REASON_WORDS, WAITING_WORDS } from '../../components/delivery-words.ts';
import { StateBadge } from '../../components/state-badge.tsx';
import { ExactTime, formatDuration, useNow } from '../../components/time.tsx';
import { AttemptView } from './attempt-view.tsx';

type Attempt = Schemas['Attempt'];
type Delivery = Schemas['DeliveryWithAttempts'];

/** What happened to a delivery, in order, with the waiting between, and what comes next. */
export function Timeline({ delivery }: { delivery: Delivery }) {
  const { attempts, createdAt } = delivery;
  const [first] = attempts;
  const latest = attempts.at(-1);
  // The latest is open by itself; what was opened or closed by hand stays so while more attempts come.
  const [byHand, setByHand] = useState<ReadonlyMap<number, boolean>>(new Map());
  const isOpen = (number: number) => byHand.get(number) ?? number === latest?.number;
  return (
    <ol className="border-base-300 ml-2 border-l-2">
      <Step tone="quiet">
        <p className="text-sm">
          <span className="font-medium">Event accepted</span>{' '}
          <span className="text-quiet">
            <ExactTime at={createdAt} />
          </span>
        </p>
      </Step>
      {first && first.number > 1 && (
        <Step tone="quiet">
          <p className="text-quiet text-sm">
            {first.number === 2 ? 'Attempt 1 is' : `Attempts 1 to ${first.number - 1} are`} not shown: the
            latest 100 are.
          </p>
        </Step>
      )}
      {attempts.map((attempt, at) => (
        <AttemptSteps
          key={attempt.number}
          attempt={attempt}
          waitedFrom={at === 0 && attempt.number > 1 ? undefined : endOf(attempts[at - 1], createdAt)}
          isOpen={isOpen(attempt.number)}
          onToggle={() => {
            setByHand((now) => new Map(now).set(attempt.number, !isOpen(attempt.number)));
          }}
          delivery={delivery}
        />
      ))}
      <WhatIsNext delivery={delivery} />
    </ol>
  );
}

/** When the waiting for the next attempt began: with the end of the one before, or with the event. */
function endOf(attempt: Attempt | undefined, createdAt: string): number {
  if (!attempt) return Date.parse(createdAt);
  return Date.parse(attempt.startedAt) + (attempt.durationMs ?? 0);
}

const DOTS = {
  good: 'bg-success',
  warn: 'bg-warning',
  bad: 'bg-error',
  busy: 'bg-info',
  quiet: 'bg-base-content/40',
} as const;

function Step({ tone, children }: { tone: keyof typeof DOTS; children: ReactNode }) {
  return (
    <li className="relative pb-4 pl-5 last:pb-0">
      <span
        aria-hidden
        className={`border-base-200 absolute top-1 -left-[0.4375rem] size-3 rounded-full border-2 ${DOTS[tone]}`}
      />
      {children}
    </li>
  );
}

function toneOf({ outcome }: Attempt): keyof typeof DOTS {
  if (outcome === 'accepted') return 'good';
  return outcome === 'rejected' || outcome === 'lost' ? 'warn' : 'bad';
}

const TRIGGER_WORDS: Readonly<Record<Attempt['trigger'], string>> = {
  schedule: '',
  resend: ', a resend',
  test: ', a test',
};

function AttemptSteps({
  attempt,
  waitedFrom,
  isOpen,
  onToggle,
  delivery,
}: {
  attempt: Attempt;
  waitedFrom: number | undefined;
  isOpen: boolean;
  onToggle: () => void;
  delivery: Delivery;
}) {
  const { number, outcome, statusCode, durationMs, startedAt, trigger } = attempt;
  const detailsId = `attempt-${number}`;
  return (
    <>
      {waitedFrom !== undefined && (
        <li className="text-quiet pb-4 pl-5 text-sm">
          waited {formatDuration(Math.max(0, Date.parse(startedAt) - waitedFrom))}
        </li>
      )}
      <Step tone={toneOf(attempt)}>
        <div className="border-base-300 bg-base-100 rounded-box border">
          <h3>
            <button
              type="button"
              className="hover:bg-base-200 flex w-full cursor-pointer flex-wrap items-center gap-x-3 gap-y-1 rounded-box px-4 py-2.5 text-left text-sm"
              aria-expanded={isOpen}
              aria-controls={detailsId}
              onClick={onToggle}
            >
              <span aria-hidden className="text-quiet w-3">
                {isOpen ? '▾' : '▸'}
              </span>
              <span className="font-semibold">
                Attempt {number}
                {TRIGGER_WORDS[trigger]}
              </span>
              <StateBadge state={outcome} />
              {statusCode !== null && <span className="tabular-nums">{statusCode}</span>}
              {durationMs !== null && (
                <span className="text-quiet tabular-nums">{formatDuration(durationMs)}</span>
              )}
              <span className="text-quiet sm:ml-auto">
                <ExactTime at={startedAt} />
              </span>
            </button>
          </h3>
          <div id={detailsId} hidden={!isOpen} className="border-base-300 border-t p-4">
            {isOpen && <AttemptView attempt={attempt} delivery={delivery} />}
          </div>
        </div>
      </Step>
    </>
  );
}

function WhatIsNext({ delivery }: { delivery: Delivery }) {
  const { state, attemptCount, reason, finishedAt } = delivery;
  if (state === 'pending') {
    return (
      <Step tone="busy">
        <p className="text-sm font-medium">
          <NextAttempt delivery={delivery} />
        </p>
      </Step>
    );
  }
  if (state === 'in_flight') {
    return (
      <Step tone="busy">
        <p className="text-sm font-medium">Attempt {attemptCount} is being made right now</p>
      </Step>
    );
  }
  return (
    <Step tone={state === 'succeeded' ? 'good' : state === 'exhausted' ? 'bad' : 'quiet'}>
      <p className="flex flex-wrap items-center gap-x-2 gap-y-1 text-sm">
        <StateBadge state={state} />
        {reason !== null && <span>{REASON_WORDS[reason]}</span>}
        {finishedAt !== null && (
          <span className="text-quiet">
            <ExactTime at={finishedAt} />
          </span>
        )}
      </p>
    </Step>
  );
}

/** Counts down to the next attempt, as far as anybody can say when that is. */
function NextAttempt({ delivery }: { delivery: Delivery }) {
  const { nextAttemptAt, waitingFor, attemptCount } = delivery;
  const nowMs = useNow();
  const which = `Attempt ${attemptCount + 1}`;
  const waits = waitingFor === null ? '' : ` It waits ${WAITING_WORDS[waitingFor]}.`;
  if (nextAttemptAt === null) return `${which} has no time yet.${waits}`;
  const leftMs = Date.parse(nextAttemptAt) - nowMs;
  if (leftMs <= 0) return waitingFor === null ? `${which} is due now` : `${which} is due.${waits}`;
  return (
    <>
      {which} in {formatDuration(Math.ceil(leftMs / 1000) * 1000)}
      {waitingFor === null ? '' : `, at the earliest.${waits}`}{' '}
      <span className="text-quiet font-normal">
        <ExactTime at={nextAttemptAt} />
      </span>
    </>
  );
}
