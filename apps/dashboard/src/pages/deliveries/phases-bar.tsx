import type { Schemas } from '../../api/client.ts';
import { formatDuration } from '../../components/time.tsx';

type Attempt = Schemas['Attempt'];

interface Phase {
  label: string;
  ms: number;
  color: string;
}

/** Where the time of an attempt went: drawn, and the same in a table. */
export function PhasesBar({ attempt }: { attempt: Attempt }) {
  const phases = phasesOf(attempt);
  const totalMs = attempt.phases.totalMs ?? attempt.durationMs;
  if (totalMs === null || phases.length === 0) return null;
  return (
    <div>
      <div aria-hidden className="bg-base-300 flex h-3 gap-px overflow-hidden rounded-full">
        {phases.map(({ label, ms, color }) => (
          <div key={label} className={`min-w-0.5 ${color}`} style={{ flexGrow: ms, flexBasis: 0 }} />
        ))}
      </div>
      <table className="mt-2 text-xs">
        <caption className="sr-only">Where the time of attempt {attempt.number} went</caption>
        <tbody className="flex flex-wrap gap-x-4 gap-y-1">
          {phases.map(({ label, ms, color }) => (
            <tr key={label} className="flex items-center gap-1.5">
              <th scope="row" className="text-quiet flex items-center gap-1.5 font-normal">
                <span aria-hidden className={`inline-block size-2.5 rounded-full ${color}`} />
                {label}
              </th>
              <td className="tabular-nums">{formatDuration(ms)}</td>
            </tr>
          ))}
          <tr className="flex items-center gap-1.5 font-medium">
            <th scope="row">total</th>
            <td className="tabular-nums">{formatDuration(totalMs)}</td>
          </tr>
        </tbody>
      </table>
    </div>
  );
}

/** In the order of the wire; what was not needed is left out, such as the name of an address or a kept connection. */
function phasesOf({ phases, durationMs, response, address }: Attempt): Phase[] {
  const { dnsMs, connectMs, tlsMs, firstByteMs } = phases;
  const totalMs = phases.totalMs ?? durationMs ?? 0;
  const known = [
    { label: 'DNS', ms: dnsMs, color: 'bg-accent' },
    { label: 'connect', ms: connectMs, color: 'bg-warning' },
    { label: 'TLS', ms: tlsMs, color: 'bg-secondary' },
    { label: 'waiting for first byte', ms: firstByteMs, color: 'bg-info' },
  ].filter((phase): phase is Phase => phase.ms !== null);
  const restMs = Math.max(0, totalMs - known.reduce((sum, { ms }) => sum + ms, 0));
  return [...known, rest(restMs, response !== null, address !== null)];
}

/** What no phase accounts for. */
function rest(ms: number, isAnswered: boolean, isConnected: boolean): Phase {
  if (isAnswered) return { label: 'reading', ms, color: 'bg-success' };
  return { label: isConnected ? 'waiting in vain' : 'until it failed', ms, color: 'bg-error' };
}
