/** A handful of bars: what went well below, what failed on top of it. */
export function Sparkline({ bars }: { bars: { accepted: number; failed: number }[] }) {
  const most = Math.max(1, ...bars.map(({ accepted, failed }) => accepted + failed));
  const accepted = bars.reduce((sum, bar) => sum + bar.accepted, 0);
  const failed = bars.reduce((sum, bar) => sum + bar.failed, 0);
  const height = (count: number) => (count / most) * 24;
  return (
    <svg
      role="img"
      aria-label={`${accepted} accepted, ${failed} failed`}
      viewBox={`0 0 ${bars.length * 4} 24`}
      preserveAspectRatio="none"
      className="h-6 w-24"
    >
      <line x1="0" x2={bars.length * 4} y1="23.5" y2="23.5" className="stroke-base-300" />
      {bars.map((bar, at) => (
        // The place in time is what tells one bar from another.
        <g key={at}>
          <rect
            x={at * 4}
            width="3"
            y={24 - height(bar.accepted)}
            height={height(bar.accepted)}
            className="fill-success"
          />
          <rect
            x={at * 4}
            width="3"
            y={24 - height(bar.accepted + bar.failed)}
            height={height(bar.failed)}
            className="fill-error"
          />
        </g>
      ))}
    </svg>
  );
}
