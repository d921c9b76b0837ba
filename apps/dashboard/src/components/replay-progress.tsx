import type { Schemas } from '../api/client.ts';
import { formatCount } from './figures.ts';
import { StateBadge } from './state-badge.tsx';

type Replay = Schemas['Replay'];

const PARTS = [
  { of: 'succeeded', color: 'bg-success' },
  { of: 'failed', color: 'bg-error' },
  { of: 'skipped', color: 'bg-secondary' },
] as const;

/** How far a replay is: a bar, and the same in words. */
export function ReplayProgress({ replay }: { replay: Replay }) {
  const { done, selected, isMore } = replay;
  const percent = (count: number) => (selected === 0 ? 0 : (100 * count) / selected);
  const words = `${formatCount(done)} of ${isMore ? 'at least ' : ''}${formatCount(selected)} done`;
  return (
    <div>
      <div
        role="progressbar"
        aria-label="Progress of the replay"
        aria-valuemin={0}
        aria-valuemax={selected}
        aria-valuenow={done}
        aria-valuetext={words}
        className="bg-base-300 flex h-2.5 overflow-hidden rounded-full"
      >
        {PARTS.map(({ of, color }) => (
          <div key={of} className={color} style={{ width: `${percent(replay[of])}%` }} />
        ))}
      </div>
      <p className="text-quiet mt-1 text-xs">
        {words}: {PARTS.map(({ of }) => `${formatCount(replay[of])} ${of}`).join(', ')}
      </p>
    </div>
  );
}

/** Its state: having finished is good only if nothing failed. */
export function ReplayBadge({ replay: { state, failed, done } }: { replay: Replay }) {
  if (state !== 'finished' || failed === 0) return <StateBadge state={state} />;
  return <StateBadge state={state} tone={failed === done ? 'bad' : 'warn'} />;
}
