import { useState } from 'react';
import { $api, type Schemas } from '../../api/client.ts';
import { formatBytes, formatCount } from '../../components/figures.ts';
import { Loaded } from '../../components/loaded.tsx';
import { Page, Section } from '../../components/page.tsx';
import { Prose } from '../../components/prose.tsx';
import { StateBadge } from '../../components/state-badge.tsx';
import { ExactTime, formatDuration, Time } from '../../components/time.tsx';
import { Tile } from '../../components/tile.tsx';

type Deployment = Schemas['Deployment'];
type Partition = NonNullable<Deployment['partitions']>[number];

const LIVE_MS = 10_000;
/** Beyond it, times of the database and of this process do not go together well. */
const CLOCK_WARNING_MS = 1_000;
const UNKNOWN = 'not known';

/** What this deployment runs with. */
export function Component() {
  const deployment = $api.useQuery('get', '/v1/deployment', {}, { refetchInterval: LIVE_MS });
  return (
    <Page
      title="Settings"
      description="As the api process that answers has them. They are set in its environment and cannot be changed here."
    >
      <Loaded query={deployment} lines={14}>
        {(data) => (
          <>
            <Parts deployment={data} />
            <Settings settings={data.settings} />
            <Partitions partitions={data.partitions} />
          </>
        )}
      </Loaded>
    </Page>
  );
}

function Parts({ deployment }: { deployment: Deployment }) {
  const { version, node, startedAt, queue, database, housekeeping } = deployment;
  const { migrations, clockDifferenceMs } = database;
  const isClockOff = Math.abs(clockDifferenceMs ?? 0) > CLOCK_WARNING_MS;
  return (
    <div className="mb-8 grid gap-3 sm:grid-cols-2 lg:grid-cols-4">
      <Tile
        label="Posthorn"
        value={version}
        note={
          <>
            Node.js {node}, started <Time at={startedAt} />
          </>
        }
      />
      <Tile
        label="Queue"
        value={queue.backend === 'redis' ? 'Redis' : 'PostgreSQL'}
        note={
          <>
            <StateBadge state={queue.reachable ? 'ok' : 'unreachable'} />{' '}
            {queue.waitingHints === null ? UNKNOWN : `${formatCount(queue.waitingHints)} hints wait`}
          </>
        }
        tone={queue.reachable ? 'plain' : 'bad'}
      />
      <Tile
        label="PostgreSQL"
        value={database.version ?? UNKNOWN}
        note={
          <>
            {database.sizeBytes !== null && `${formatBytes(database.sizeBytes)}, `}
            {clockDifferenceMs !== null &&
              `clock ${clockDifferenceMs >= 0 ? 'ahead' : 'behind'} by ${formatDuration(clockDifferenceMs)}, `}
            {migrations === null
              ? UNKNOWN
              : migrations.pending.length === 0
                ? `${String(migrations.applied)} migrations`
                : `${String(migrations.pending.length)} migrations missing: run posthorn migrate`}
          </>
        }
        tone={isClockOff || (migrations?.pending.length ?? 0) > 0 ? 'bad' : 'plain'}
      />
      <Tile
        label="Housekeeping"
        value={housekeeping === null ? UNKNOWN : housekeeping.holder === null ? 'nobody' : 'done'}
        note={
          housekeeping !== null &&
          (housekeeping.holder === null ? (
            'no worker runs'
          ) : (
            <>
              by <code className="break-all">{housekeeping.holder}</code>
            </>
          ))
        }
        tone={housekeeping !== null && housekeeping.holder === null ? 'bad' : 'plain'}
      />
    </div>
  );
}

function Settings({ settings }: { settings: Deployment['settings'] }) {
  const [search, setSearch] = useState('');
  const [isChangedOnly, setIsChangedOnly] = useState(false);
  const words = search.trim().toLowerCase();
  const shown = settings.filter(
    ({ name, description, isDefault }) =>
      (!isChangedOnly || !isDefault) &&
      (name.toLowerCase().includes(words) || description.toLowerCase().includes(words)),
  );
  return (
    <Section
      title="Configuration"
      actions={
        <div className="flex flex-wrap items-center gap-3">
          <label className="flex items-center gap-2 text-sm">
            <input
              type="checkbox"
              className="checkbox checkbox-sm"
              checked={isChangedOnly}
              onChange={(event) => setIsChangedOnly(event.target.checked)}
            />
            Only what was set
          </label>
          <input
            type="search"
            aria-label="Search the settings"
            placeholder="Search"
            className="input input-sm w-44"
            value={search}
            onChange={(event) => setSearch(event.target.value)}
          />
        </div>
      }
    >
      <div className="table-box">
        <table className="table table-sm">
          <thead>
            <tr>
              <th scope="col">Setting</th>
              <th scope="col">Value</th>
              <th scope="col" className="hidden lg:table-cell">
                What it is
              </th>
            </tr>
          </thead>
          <tbody>
            {shown.map(({ name, value, isDefault, description }) => (
              <tr key={name}>
                <th scope="row" className="align-top font-normal">
                  <code className="text-xs break-all">{name}</code>
                </th>
                <td className="align-top">
                  <code className="text-xs break-all">{value ?? 'not set'}</code>
                  {name.endsWith('_MS') && value !== null && /^\d+$/.test(value) && (
                    <span className="text-quiet text-xs"> {formatDuration(Number(value))}</span>
                  )}
                  {!isDefault && <div className="text-info mt-0.5 text-xs">set</div>}
                </td>
                <td className="text-quiet hidden max-w-md align-top text-xs lg:table-cell">
                  <Prose text={description} />
                </td>
              </tr>
            ))}
            {shown.length === 0 && (
              <tr>
                <td colSpan={3}>No setting is called so.</td>
              </tr>
            )}
          </tbody>
        </table>
      </div>
    </Section>
  );
}

function Partitions({ partitions }: { partitions: Deployment['partitions'] }) {
  if (partitions === null) {
    return (
      <Section title="Partitions">
        <p className="text-quiet text-sm">They could not be read in time.</p>
      </Section>
    );
  }
  const tables = [...new Set(partitions.map(({ table }) => table))];
  return (
    <Section title="Partitions">
      <div className="grid gap-3 lg:grid-cols-2">
        {tables.map((table) => (
          <PartitionsOf key={table} table={table} days={partitions.filter((day) => day.table === table)} />
        ))}
      </div>
    </Section>
  );
}

function PartitionsOf({ table, days }: { table: string; days: Partition[] }) {
  const bytes = days.reduce((sum, day) => sum + day.bytes, 0);
  const leaving = days.filter(({ state }) => state !== 'attached').length;
  const [first, last] = [days[0], days.at(-1)];
  return (
    <details className="border-base-300 bg-base-100 rounded-box border">
      <summary className="flex cursor-pointer flex-wrap items-baseline justify-between gap-2 px-4 py-3">
        <span className="font-medium">{table}</span>
        <span className="text-quiet text-sm">
          {days.length} days, {formatBytes(bytes)}
          {leaving > 0 && `, ${String(leaving)} on their way out`}
        </span>
      </summary>
      <div
        className="max-h-72 overflow-auto"
        tabIndex={0}
        role="region"
        aria-label={`Partitions of ${table}`}
      >
        <table className="table table-xs">
          <caption className="text-quiet px-4 pb-2 text-left text-xs">
            {first && last && (
              <>
                <ExactTime at={first.from} /> to <ExactTime at={last.to} />
              </>
            )}
          </caption>
          <thead>
            <tr>
              <th scope="col">Day</th>
              <th scope="col" className="text-right">
                Rows (estimate)
              </th>
              <th scope="col" className="text-right">
                Size
              </th>
              <th scope="col">State</th>
            </tr>
          </thead>
          <tbody>
            {days.map((day) => (
              <tr key={day.from}>
                <td className="whitespace-nowrap">{day.from.slice(0, 10)}</td>
                <td className="text-right tabular-nums">
                  {day.rowsEstimate === null ? '–' : formatCount(day.rowsEstimate)}
                </td>
                <td className="text-right whitespace-nowrap tabular-nums">{formatBytes(day.bytes)}</td>
                <td>{day.state}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </details>
  );
}
