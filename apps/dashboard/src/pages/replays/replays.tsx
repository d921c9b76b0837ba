import { useState } from 'react';
import { Link } from 'react-router';
import { $api, type Schemas } from '../../api/client.ts';
import { Empty } from '../../components/empty.tsx';
import { shortId } from '../../components/id.tsx';
import { Loaded } from '../../components/loaded.tsx';
import { Page } from '../../components/page.tsx';
import { Pager } from '../../components/pager.tsx';
import { ReplayDialog } from '../../components/replay-dialog.tsx';
import { ReplayBadge, ReplayProgress } from '../../components/replay-progress.tsx';
import { SubscriptionName } from '../../components/subscription-name.tsx';
import { Time } from '../../components/time.tsx';
import { useFilters } from '../../components/use-filters.ts';
import { useMay, useSeesAllTenants } from '../../session/session.tsx';

type Replay = Schemas['Replay'];

const LIVE_MS = 2_000;

/** What was sent again, and how far what is being sent again is. */
export function Component() {
  const { values, page } = useFilters(['tenant']);
  const mayStart = useMay('deliveries:write');
  const [isOpen, setIsOpen] = useState(false);
  const replays = $api.useQuery(
    'get',
    '/v1/replays',
    { params: { query: { ...values, ...page } } },
    {
      refetchInterval: ({ state: { data } }) =>
        data?.data.some(({ state }) => state === 'running') === true && LIVE_MS,
    },
  );
  const start = mayStart && (
    <button type="button" className="btn btn-primary" onClick={() => setIsOpen(true)}>
      New replay
    </button>
  );
  return (
    <Page
      title="Replays"
      description="Finished deliveries that match a filter, sent again through the whole retry policy."
      actions={start}
    >
      <Loaded query={replays}>
        {(loaded) =>
          loaded.data.length === 0 ? (
            <Empty title="No replays yet" action={start}>
              After an outage, a replay sends again what was exhausted, cancelled or has expired meanwhile.
            </Empty>
          ) : (
            <>
              <ReplayTable replays={loaded.data} />
              <Pager page={loaded} />
            </>
          )
        }
      </Loaded>
      {isOpen && <ReplayDialog filter={{}} onClose={() => setIsOpen(false)} />}
    </Page>
  );
}

function ReplayTable({ replays }: { replays: readonly Replay[] }) {
  const seesAllTenants = useSeesAllTenants();
  return (
    <div className="table-box">
      <table className="table" aria-label="Replays">
        <thead>
          <tr>
            <th scope="col">Replay</th>
            <th scope="col" className="hidden md:table-cell">
              Of
            </th>
            {seesAllTenants && (
              <th scope="col" className="hidden lg:table-cell">
                Tenant
              </th>
            )}
            <th scope="col">Progress</th>
          </tr>
        </thead>
        <tbody>
          {replays.map((replay) => (
            <tr key={replay.id}>
              <td className="align-top">
                <div className="mb-1 flex flex-wrap items-center gap-x-2 gap-y-1">
                  <Link to={`/replays/${replay.id}`} className="link font-mono text-sm" title={replay.id}>
                    {shortId(replay.id)}
                  </Link>
                  <ReplayBadge replay={replay} />
                </div>
                <div className="text-quiet text-xs">
                  <Time at={replay.createdAt} />
                </div>
              </td>
              <td className="hidden align-top md:table-cell">
                {replay.filter.subscription === null ? (
                  'all subscriptions'
                ) : (
                  <SubscriptionName id={replay.filter.subscription} />
                )}
                <div className="text-quiet text-xs">
                  {[replay.filter.eventType ?? 'all event types', replay.filter.states.join(', ')].join('; ')}
                  {replay.filter.includeMissed && ', missed'}
                </div>
              </td>
              {seesAllTenants && <td className="hidden align-top lg:table-cell">{replay.tenant ?? 'all'}</td>}
              <td className="w-2/5 min-w-40 align-top">
                <ReplayProgress replay={replay} />
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
