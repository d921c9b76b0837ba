import type { ReactNode } from 'react';

/** One figure that matters, with what it means. */
export function Tile({
  label,
  value,
  note,
  tone = 'plain',
}: {
  label: string;
  value: ReactNode;
  note?: ReactNode;
  tone?: 'plain' | 'warn' | 'bad';
}) {
  const color = { plain: '', warn: 'text-warning', bad: 'text-error' }[tone];
  return (
    <div className="border-base-300 bg-base-100 rounded-box border p-4">
      <div className="text-quiet text-sm">{label}</div>
      <div className={`mt-1 text-2xl font-semibold tabular-nums ${color}`}>{value}</div>
      {/* The line is there without a note too, so that tiles of a row are alike. */}
      <div className="text-quiet mt-1 min-h-4 text-xs">{note}</div>
    </div>
  );
}
