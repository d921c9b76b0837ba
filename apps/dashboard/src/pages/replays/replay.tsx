import { useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { Link, useParams } from 'react-router';
import { $api, type Schemas } from '../../api/client.ts';
import { ConfirmDialog } from '../../components/dialog.tsx';
import { Fact, Facts } from '../../components/facts.tsx';
import { formatCount } from '../../components/figures.ts';
import { Id } from '../../components/id.tsx';
import { Loaded } from '../../components/loaded.tsx';
import { Page, Section } from '../../components/page.tsx';
import { useReplay } from '../../components/replay-dialog.tsx';
import { ReplayBadge, ReplayProgress } from '../../components/replay-progress.tsx';
import { StateBadge } from '../../components/state-badge.tsx';
import { SubscriptionName } from '../../components/subscription-name.tsx';
import { ExactTime } from '../../components/time.tsx';
import { useToast } from '../../components/toasts.tsx';
import { useMay, useSeesAllTenants } from '../../session/session.tsx';

type Replay = Schemas['Replay'];

/** One replay: what it selects, and what has come of it. Live while it runs. */
export function Component() {
  const { id = '' } = useParams();
  const replay = useReplay(id);
  const mayCancel = useMay('deliveries:write');
  const [isOpen, setIsOpen] = useState(false);
  const { data } = replay;
  return (
    <Page
      title={
        <span className="flex flex-wrap items-center gap-3">
          Replay {data && <ReplayBadge replay={data} />}
        </span>
      }
      name="Replay"
      back={{ to: '/replays', label: 'Replays' }}
      actions={
        mayCancel &&
        data?.state === 'running' && (
          <button type="button" className="btn btn-sm text-error" onClick={() => setIsOpen(true)}>
            Cancel replay
          </button>
        )
      }
    >
      <Loaded query={replay}>
        {(loaded) => (
          <>
            <Section title="Progress">
              <div className="border-base-300 bg-base-100 rounded-box border p-4">
                <ReplayProgress replay={loaded} />
                <Counts replay={loaded} />
              </div>
            </Section>
            <Section title="Filter">
              <Filter replay={loaded} />
            </Section>
          </>
        )}
      </Loaded>
      {isOpen && <CancelReplay id={id} onClose={() => setIsOpen(false)} />}
    </Page>
  );
}

const MEANINGS = {
  selected: 'matched at the start',
  succeeded: 'delivered by this replay',
  failed: 'ended by it without success',
  skipped: 'not there any more when their turn came',
} as const;

function Counts({ replay }: { replay: Replay }) {
  return (
    <dl className="mt-4 grid grid-cols-2 gap-4 lg:grid-cols-4">
      {Object.entries(MEANINGS).map(([name, meaning]) => (
        <div key={name}>
          <dt className="text-sm">{name}</dt>
          <dd className="text-2xl font-semibold tabular-nums">
            {formatCount(replay[name as keyof typeof MEANINGS])}
            {name === 'selected' && replay.isMore && '+'}
          </dd>
          <dd className="text-quiet text-xs">{meaning}</dd>
        </div>
      ))}
    </dl>
  );
}

function Filter({ replay: { id, tenant, filter, createdAt, finishedAt } }: { replay: Replay }) {
  const seesAllTenants = useSeesAllTenants();
  return (
    <Facts>
      <Fact label="Events accepted since">
        <ExactTime at={filter.since} />
      </Fact>
      <Fact label="Until">
        <ExactTime at={filter.until} />
      </Fact>
      <Fact label="Subscription">
        {filter.subscription === null ? 'all' : <SubscriptionName id={filter.subscription} />}
      </Fact>
      <Fact label="Event type">{filter.eventType ?? 'all'}</Fact>
      {seesAllTenants && <Fact label="Tenant">{tenant ?? 'all'}</Fact>}
      <Fact label="Deliveries that were">
        <span className="flex flex-wrap gap-1">
          {filter.states.map((state) => (
            <StateBadge key={state} state={state} />
          ))}
        </span>
      </Fact>
      <Fact label="Missed events">{filter.includeMissed ? 'included' : 'not included'}</Fact>
      <Fact label="Id">
        <Id id={id} label="replay id" />
      </Fact>
      <Fact label="Started">
        <ExactTime at={createdAt} />
      </Fact>
      {finishedAt !== null && (
        <Fact label="Ended">
          <ExactTime at={finishedAt} />
        </Fact>
      )}
      <Fact label="In the log">
        <Link to={`/deliveries?${logQuery(tenant, filter)}`} className="link">
          Show its deliveries
        </Link>
      </Fact>
    </Facts>
  );
}

/** What the log can be narrowed to: the states are those of then, and have changed since. */
function logQuery(
  tenant: string | null,
  { subscription, eventType, since, until }: Replay['filter'],
): string {
  const all = { tenant, subscription, eventType, since, until };
  return new URLSearchParams(
    Object.entries(all).flatMap(([name, value]) => (value === null ? [] : [[name, value]])),
  ).toString();
}

function CancelReplay({ id, onClose }: { id: string; onClose: () => void }) {
  const queries = useQueryClient();
  const toast = useToast();
  const cancel = $api.useMutation('post', '/v1/replays/{id}/cancel', {
    onSuccess: async () => {
      toast('The replay is cancelled');
      onClose();
      await queries.invalidateQueries();
    },
  });
  return (
    <ConfirmDialog
      title="Cancel this replay?"
      confirm="Cancel replay"
      tone="danger"
      request={cancel}
      onConfirm={() => cancel.mutate({ params: { path: { id } } })}
      onClose={onClose}
    >
      <p className="text-sm">
        Nothing more of it is sent. What waits gets back the state it had; what is on the wire ends by itself.
      </p>
    </ConfirmDialog>
  );
}
