import { useState } from 'react';
import { Link, useParams } from 'react-router';
import { $api } from '../../api/client.ts';
import { Id } from '../../components/id.tsx';
import { Loaded } from '../../components/loaded.tsx';
import { Page, Section } from '../../components/page.tsx';
import { useMay } from '../../session/session.tsx';
import { Configuration } from './configuration.tsx';
import { DeleteSubscription } from './delete-subscription.tsx';
import { Diagnose } from './diagnose.tsx';
import { LatestDeliveries } from './latest-deliveries.tsx';
import { PauseOrResume } from './pause-and-resume.tsx';
import { SigningSecrets } from './signing-secrets.tsx';
import type { Subscription } from './subscription-draft.ts';
import { SubscriptionState } from './subscription-state.tsx';
import { SubscriptionStatistics } from './subscription-statistics.tsx';
import { TestEvent } from './test-event.tsx';

/** State, backlog and probes change by themselves. */
const LIVE_MS = 3_000;

/** One subscription: how it is, what it does, and what can be done about it. */
export function Component() {
  const { id = '' } = useParams();
  const subscription = $api.useQuery(
    'get',
    '/v1/subscriptions/{id}',
    { params: { path: { id } } },
    { refetchInterval: LIVE_MS },
  );
  const { data } = subscription;
  return (
    <Page
      title={data ? <span className="break-all">{data.url}</span> : 'Subscription'}
      name={data ? `Subscription to ${new URL(data.url).host}` : 'Subscription'}
      back={{ to: '/subscriptions', label: 'Subscriptions' }}
      description={data?.description ?? undefined}
      actions={data && <Actions subscription={data} />}
    >
      <Loaded query={subscription} lines={12}>
        {(loaded) => <Shown subscription={loaded} key={loaded.id} />}
      </Loaded>
    </Page>
  );
}

function Actions({ subscription }: { subscription: Subscription }) {
  const [isDeleting, setIsDeleting] = useState(false);
  if (!useMay('subscriptions:write')) return null;
  return (
    <>
      <PauseOrResume subscription={subscription} />
      <Link to={`/subscriptions/${subscription.id}/edit`} className="btn">
        Edit
      </Link>
      <button type="button" className="btn text-error" onClick={() => setIsDeleting(true)}>
        Delete
      </button>
      {isDeleting && <DeleteSubscription subscription={subscription} onClose={() => setIsDeleting(false)} />}
    </>
  );
}

function Shown({ subscription }: { subscription: Subscription }) {
  const mayWrite = useMay('subscriptions:write');
  const mayReadDeliveries = useMay('deliveries:read');
  const { id } = subscription;
  return (
    <>
      <p className="text-quiet -mt-3 mb-5">
        <Id id={id} label="id of the subscription" />
      </p>
      <SubscriptionState subscription={subscription} />
      {mayReadDeliveries && <SubscriptionStatistics subscriptionId={id} />}
      {mayReadDeliveries && <LatestDeliveries subscriptionId={id} />}
      {mayWrite && (
        <Section title="Test event">
          <div className="border-base-300 bg-base-100 rounded-box border p-4">
            <TestEvent subscription={subscription} />
          </div>
        </Section>
      )}
      {mayWrite && (
        <Section title="Diagnosis">
          <div className="border-base-300 bg-base-100 rounded-box border p-4">
            <Diagnose subscriptionId={id} />
          </div>
        </Section>
      )}
      <Configuration subscription={subscription} />
      <Section title="Signing secrets">
        <div className="border-base-300 bg-base-100 rounded-box border p-4">
          <SigningSecrets subscriptionId={id} />
        </div>
      </Section>
    </>
  );
}
