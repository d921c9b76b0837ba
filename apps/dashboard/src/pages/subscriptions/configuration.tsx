import type { ReactNode } from 'react';
import { $api } from '../../api/client.ts';
import { formatCount } from '../../components/figures.ts';
import { Loaded } from '../../components/loaded.tsx';
import { Section } from '../../components/page.tsx';
import { formatDuration, Time } from '../../components/time.tsx';
import { useSeesAllTenants } from '../../session/session.tsx';
import { durationText } from './duration-text.ts';
import { RetryTimeline } from './retry-timeline.tsx';
import type { Subscription } from './subscription-draft.ts';

/** What a subscription is told to do. */
export function Configuration({ subscription }: { subscription: Subscription }) {
  const seesAllTenants = useSeesAllTenants();
  const { rateLimit } = subscription;
  // Of this policy: another one is another question.
  const plan = $api.useQuery(
    'post',
    '/v1/subscriptions/preview',
    { body: { id: subscription.id, retry: subscription.retry } },
    { staleTime: Infinity },
  );
  return (
    <Section title="Configuration">
      <div className="border-base-300 bg-base-100 rounded-box border p-4">
        <dl className="grid gap-x-6 gap-y-3 text-sm sm:items-baseline sm:grid-cols-[10rem_minmax(0,1fr)]">
          {seesAllTenants && (
            <Item name="Tenant">
              <code>{subscription.tenant}</code>
            </Item>
          )}
          <Item name="Event types">
            <Codes texts={subscription.eventTypes} />
          </Item>
          <Item name="Headers">
            {Object.keys(subscription.headers).length === 0 ? (
              <span className="text-quiet">none of its own</span>
            ) : (
              <>
                <Codes texts={Object.keys(subscription.headers)} />
                <span className="text-quiet text-xs">Their values are encrypted and not shown.</span>
              </>
            )}
          </Item>
          <Item name="Timeout">{formatDuration(subscription.timeoutMs)}</Item>
          <Item name="Rate limit">
            {rateLimit ? `${formatCount(rateLimit.count)} per ${durationText(rateLimit.perMs)}` : 'none'}
          </Item>
          <Item name="At once, at most">
            {subscription.ordering === 'fifo' ? '1, in order' : formatCount(subscription.maxInFlight)}
          </Item>
          <Item name="Ordering">
            {subscription.ordering === 'fifo'
              ? `in order; when a delivery is exhausted it ${subscription.onExhausted === 'block' ? 'pauses' : 'goes on with the next'}`
              : 'none'}
          </Item>
          {Object.keys(subscription.metadata).length > 0 && (
            <Item name="Metadata">
              <ul>
                {Object.entries(subscription.metadata).map(([name, value]) => (
                  <li key={name} className="break-all">
                    <code className="text-quiet">{name}</code> {value}
                  </li>
                ))}
              </ul>
            </Item>
          )}
          <Item name="Made">
            <Time at={subscription.createdAt} />
            {subscription.updatedAt !== subscription.createdAt && (
              <>
                , changed <Time at={subscription.updatedAt} />
              </>
            )}
          </Item>
        </dl>
        <h3 className="border-base-300 mt-4 mb-2 border-t pt-4 text-sm font-medium">Retry policy</h3>
        <Loaded query={plan} lines={2}>
          {({ schedule }) => <RetryTimeline schedule={schedule} />}
        </Loaded>
      </div>
    </Section>
  );
}

function Item({ name, children }: { name: string; children: ReactNode }) {
  return (
    <div className="contents">
      <dt className="text-quiet">{name}</dt>
      <dd className="min-w-0">{children}</dd>
    </div>
  );
}

function Codes({ texts }: { texts: string[] }) {
  return (
    <ul className="flex flex-wrap gap-1.5">
      {texts.map((text) => (
        <li key={text} className="border-base-300 bg-base-200 rounded-selector border px-1.5 py-0.5">
          <code className="text-xs break-all">{text}</code>
        </li>
      ))}
    </ul>
  );
}
