import { keepPreviousData } from '@tanstack/react-query';
import { useState } from 'react';
import { Link, useSearchParams } from 'react-router';
import type { operations } from '#api-types';
import { $api, errorsByField, type Schemas } from '../../api/client.ts';
import { Empty } from '../../components/empty.tsx';
import { Loaded } from '../../components/loaded.tsx';
import { Page } from '../../components/page.tsx';
import { Pager } from '../../components/pager.tsx';
import { ReplayDialog } from '../../components/replay-dialog.tsx';
import { useFilters } from '../../components/use-filters.ts';
import { useMay } from '../../session/session.tsx';
import { BulkDialog, type BulkVerb } from './bulk-dialog.tsx';
import { FILTER_NAMES, LogFilters, type LogFilter } from './log-filters.tsx';
import { LogTable } from './log-table.tsx';
import { replayOf } from './replay-of-filter.ts';
import { useArrivals } from './use-arrivals.ts';

type Delivery = Schemas['Delivery'];

const LIVE_MS = 2_000;

/** Every delivery, open and finished alike, by any filter of the API. */
export function Component() {
  const filters = useFilters(FILTER_NAMES);
  const [params, setParams] = useSearchParams();
  const mayWrite = useMay('deliveries:write');
  const isOlder = params.has('cursor');
  const wantsLive = params.get('live') === 'true';
  const isLive = wantsLive && !isOlder;
  const query = { ...filters.values, ...filters.page };
  const log = $api.useQuery(
    'get',
    '/v1/deliveries',
    // The address may say anything: the API is who says what is wrong with it.
    { params: { query: query as DeliveriesQuery } },
    { placeholderData: keepPreviousData, refetchInterval: isLive && LIVE_MS },
  );
  const errors = errorsByField(log.error);
  const list = JSON.stringify([query, isLive]);
  const shown = log.isPlaceholderData ? undefined : log.data?.data;
  const arrivals = useArrivals(
    list,
    shown?.map(({ id }) => id),
    log.dataUpdatedAt,
  );
  const [selected, setSelected] = useState<ReadonlyMap<string, Delivery>>(new Map());
  const select = (deliveries: readonly Delivery[], isSelected: boolean) => {
    setSelected((now) => {
      const next = new Map(now);
      for (const delivery of deliveries) {
        if (isSelected) next.set(delivery.id, delivery);
        else next.delete(delivery.id);
      }
      return next;
    });
  };
  const [open, setOpen] = useState<'replay' | BulkVerb>();
  const close = () => setOpen(undefined);
  return (
    <Page
      title="Deliveries"
      description="What is owed to each subscription, and what came of it."
      actions={
        <>
          <label className="flex cursor-pointer items-center gap-2 text-sm">
            <input
              type="checkbox"
              className="toggle toggle-sm"
              checked={wantsLive}
              onChange={(event) => {
                setParams(
                  (now) => {
                    if (event.target.checked) now.set('live', 'true');
                    else now.delete('live');
                    return now;
                  },
                  { replace: true, flushSync: true }, // at once, or the box would spring back until then
                );
              }}
            />
            {wantsLive && isOlder ? 'Live (waits: older page)' : 'Live'}
          </label>
          {mayWrite && (
            <button type="button" className="btn btn-sm" onClick={() => setOpen('replay')}>
              Replay by this filter
            </button>
          )}
        </>
      }
    >
      <LogFilters
        filter={filters.values}
        errors={errors}
        onChange={(changes) => {
          setSelected(new Map()); // nobody should act on what they cannot see any more
          filters.set(changes);
        }}
      />
      {mayWrite && (
        <SelectionBar
          selected={selected}
          shown={shown ?? []}
          onAct={setOpen}
          onClear={() => setSelected(new Map())}
        />
      )}
      {FILTER_NAMES.some((name) => errors[name] !== undefined) ? (
        <WrongFilter onClear={() => filters.set(NO_FILTER)} />
      ) : (
        <Loaded query={log} lines={10}>
          {(page) =>
            page.data.length === 0 ? (
              <NothingThere
                filter={filters.values}
                isOlder={isOlder}
                onClear={() => filters.set(NO_FILTER)}
              />
            ) : (
              <div aria-busy={log.isPlaceholderData}>
                <LogTable
                  deliveries={page.data}
                  arrivals={isLive ? arrivals : NONE}
                  selected={mayWrite ? selected : undefined}
                  onSelect={select}
                />
                <Pager page={page} />
              </div>
            )
          }
        </Loaded>
      )}
      {open === 'replay' && <ReplayDialog {...replayOf(filters.values)} onClose={close} />}
      {(open === 'resend' || open === 'cancel') && (
        <BulkDialog
          verb={open}
          deliveries={[...selected.values()]}
          onDone={(done) => select(done, false)}
          onClose={close}
        />
      )}
    </Page>
  );
}

type DeliveriesQuery = NonNullable<operations['listDeliveries']['parameters']['query']>;

const NONE: ReadonlySet<string> = new Set();
const NO_FILTER = Object.fromEntries(FILTER_NAMES.map((name) => [name, undefined]));

function SelectionBar({
  selected,
  shown,
  onAct,
  onClear,
}: {
  selected: ReadonlyMap<string, Delivery>;
  shown: readonly Delivery[];
  onAct: (verb: BulkVerb) => void;
  onClear: () => void;
}) {
  const count = selected.size;
  const elsewhere = count - shown.filter(({ id }) => selected.has(id)).length;
  return (
    <div
      className="mb-2 flex min-h-8 flex-wrap items-center gap-2 text-sm"
      role="group"
      aria-label="Selection"
    >
      <p role="status" className={count === 0 ? 'text-quiet' : ''}>
        {count === 0
          ? 'Select deliveries to resend or cancel them.'
          : `${count} selected${elsewhere > 0 ? `, ${elsewhere} of them not on this page` : ''}`}
      </p>
      {count > 0 && (
        <>
          <button type="button" className="btn btn-sm" onClick={() => onAct('resend')}>
            Resend {count}
          </button>
          <button type="button" className="btn btn-sm text-error" onClick={() => onAct('cancel')}>
            Cancel {count}
          </button>
          <button type="button" className="btn btn-ghost btn-sm" onClick={onClear}>
            Clear selection
          </button>
        </>
      )}
    </div>
  );
}

function NothingThere({
  filter,
  isOlder,
  onClear,
}: {
  filter: LogFilter;
  isOlder: boolean;
  onClear: () => void;
}) {
  if (Object.keys(filter).length === 0 && !isOlder) {
    return (
      <Empty
        title="No deliveries yet"
        action={
          <Link to="/subscriptions" className="btn btn-primary">
            To the subscriptions
          </Link>
        }
      >
        There is one for each event and each subscription that wants it. Make a subscription, then emit an
        event.
      </Empty>
    );
  }
  return (
    <Empty title="No delivery matches" action={<ClearFilter onClear={onClear} />}>
      The log has none that fits all of this filter.
    </Empty>
  );
}

/** What is wrong is said beside the field; this says why nothing is listed. */
function WrongFilter({ onClear }: { onClear: () => void }) {
  return (
    <Empty title="This filter cannot be used" action={<ClearFilter onClear={onClear} />}>
      Put right what is marked above, or clear all of it.
    </Empty>
  );
}

function ClearFilter({ onClear }: { onClear: () => void }) {
  return (
    <button type="button" className="btn btn-primary" onClick={onClear}>
      Clear the filter
    </button>
  );
}
