import type { ReactNode } from 'react';
import { formatCount } from '../../components/figures.ts';
import { Section } from '../../components/page.tsx';
import { StateBadge } from '../../components/state-badge.tsx';
import { formatDuration, Lasting, Time, useNow } from '../../components/time.tsx';
import { reasonInWords, stateInWords } from './state-in-words.ts';
import type { Subscription } from './subscription-draft.ts';

/** How a subscription is right now, in words and in figures. */
export function SubscriptionState({ subscription }: { subscription: Subscription }) {
  const nowMs = useNow();
  const { backlog, heldUntil, nextProbeAt } = subscription;
  const reason = reasonInWords(subscription);
  return (
    <Section title="State">
      <div className="border-base-300 bg-base-100 rounded-box border p-4">
        <p className="flex flex-wrap items-center gap-x-2 gap-y-1">
          <StateBadge state={subscription.state} />
          <span className="text-quiet text-sm">
            for <Lasting since={subscription.stateSince} />
            {reason !== undefined && `, ${reason}`}
          </span>
        </p>
        <p className="mt-2">{stateInWords(subscription, nowMs)}</p>
        <dl className="mt-4 grid grid-cols-2 gap-x-4 gap-y-3 sm:grid-cols-3 lg:grid-cols-6">
          <Figure name="Backlog">
            {formatCount(backlog.size)}
            {backlog.isMore && '+'}
          </Figure>
          <Figure name="In flight">{formatCount(subscription.inFlight)}</Figure>
          <Figure name="Failures in a row">{formatCount(subscription.consecutiveFailures)}</Figure>
          <Figure name="Last success">
            {subscription.lastSuccessAt === null ? (
              <>
                never
                <span className="text-quiet block text-xs">test events are not counted</span>
              </>
            ) : (
              <Time at={subscription.lastSuccessAt} />
            )}
          </Figure>
          {subscription.failingSince !== null && (
            <Figure name="Failing for">
              <Lasting since={subscription.failingSince} />
            </Figure>
          )}
          {nextProbeAt !== null && <Figure name="Next probe">{probeTime(nextProbeAt, nowMs)}</Figure>}
          {heldUntil !== null && nextProbeAt === null && (
            <Figure name="Held for">{inTime(heldUntil, nowMs)}</Figure>
          )}
        </dl>
      </div>
    </Section>
  );
}

/** A probe is a delivery that is due: where none is, it may come much later than it could. */
function probeTime(at: string, nowMs: number): ReactNode {
  return Date.parse(at) > nowMs ? (
    formatDuration(Date.parse(at) - nowMs)
  ) : (
    <span className="text-sm">with the next delivery that is due</span>
  );
}

function inTime(at: string, nowMs: number): string {
  const awayMs = Date.parse(at) - nowMs;
  return awayMs <= 0 ? 'now' : formatDuration(awayMs);
}

function Figure({ name, children }: { name: string; children: ReactNode }) {
  return (
    <div>
      <dt className="text-quiet text-xs">{name}</dt>
      <dd className="text-lg tabular-nums">{children}</dd>
    </div>
  );
}
