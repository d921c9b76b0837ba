/** What a state, an outcome or a verdict looks like. The word is always there: colour alone says nothing to many. */
const TONES = {
  good: 'text-success border-success/40',
  busy: 'text-info border-info/40',
  warn: 'text-warning border-warning/40',
  bad: 'text-error border-error/40',
  quiet: 'text-quiet border-base-content/25',
} as const;

const TONE_OF: Readonly<Record<string, keyof typeof TONES>> = {
  active: 'good',
  succeeded: 'good',
  accepted: 'good',
  finished: 'good',
  ok: 'good',
  valid: 'good',
  pending: 'busy',
  in_flight: 'busy',
  running: 'busy',
  failing: 'warn',
  held: 'warn',
  paused: 'warn',
  rejected: 'warn',
  warning: 'warn',
  lost: 'warn',
  exhausted: 'bad',
  disabled: 'bad',
  unreachable: 'bad',
  blocked: 'bad',
  gone: 'bad',
  failed: 'bad',
  invalid: 'bad',
};

/** @param tone what it looks like, where the word alone does not say whether that is good */
export function StateBadge({
  state,
  tone = TONE_OF[state] ?? 'quiet',
}: {
  state: string;
  tone?: keyof typeof TONES;
}) {
  return (
    <span
      className={`inline-block rounded-selector border px-1.5 py-0.5 text-xs font-medium whitespace-nowrap ${TONES[tone]}`}
    >
      {state.replaceAll('_', ' ')}
    </span>
  );
}
