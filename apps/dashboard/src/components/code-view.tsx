import { useState } from 'react';
import { CopyButton } from './copy-button.tsx';

/** Text as it is, in a box that scrolls by itself. It is always text: nothing in it is ever taken for markup. */
export function CodeBlock({ text, label }: { text: string; label: string }) {
  return (
    <div className="border-base-300 bg-base-200 relative rounded-box border">
      <div className="absolute top-1.5 right-1.5">
        <CopyButton text={text} label={`Copy ${label}`} className="btn btn-xs" />
      </div>
      <pre
        className="max-h-96 overflow-auto p-3 pr-16 text-xs leading-relaxed break-all whitespace-pre-wrap"
        tabIndex={0}
        role="region"
        aria-label={label}
      >
        {text}
      </pre>
    </div>
  );
}

/** A body, laid out for reading if it is JSON, and byte for byte as it is. */
export function BodyView({ body, label }: { body: string; label: string }) {
  const pretty = prettyJson(body);
  const [isRaw, setIsRaw] = useState(false);
  return (
    <div>
      {pretty !== undefined && (
        <div className="mb-2 flex gap-1" role="group" aria-label={`How to show the ${label}`}>
          {[false, true].map((raw) => (
            <button
              key={String(raw)}
              type="button"
              aria-pressed={raw === isRaw}
              className={`btn btn-xs ${raw === isRaw ? 'btn-active' : 'btn-ghost'}`}
              onClick={() => setIsRaw(raw)}
            >
              {raw ? 'Raw' : 'Pretty'}
            </button>
          ))}
        </div>
      )}
      <CodeBlock text={isRaw || pretty === undefined ? body : pretty} label={label} />
    </div>
  );
}

/** Deeper than anybody reads; without it 100 kB of brackets would be gigabytes of spaces. */
const MAX_INDENT = 40;

/**
 * JSON laid out anew without being read as values, so that what is shown is what was sent: `100.00` keeps its zeros and
 * a number of twenty digits all of them. `undefined` for what is no JSON object or array.
 */
export function prettyJson(text: string): string | undefined {
  if (!/^\s*[[{]/.test(text)) return undefined;
  try {
    JSON.parse(text);
  } catch {
    return undefined;
  }
  // Strings, or what structures them, or anything else that is no space.
  const tokens = text.match(/"(?:[^"\\]|\\.)*"|[{}[\],:]|[^\s{}[\],:"]+/g) ?? [];
  let depth = 0;
  let line = '';
  const newLine = () => `\n${'  '.repeat(Math.min(depth, MAX_INDENT))}`;
  for (const [index, token] of tokens.entries()) {
    const next = tokens[index + 1];
    if (token === '{' || token === '[') {
      if (next === '}' || next === ']') line += token;
      else {
        depth += 1;
        line += token + newLine();
      }
    } else if (token === '}' || token === ']') {
      const before = tokens[index - 1];
      if (before === '{' || before === '[') line += token;
      else {
        depth -= 1;
        line += newLine() + token;
      }
    } else if (token === ',') line += token + newLine();
    else if (token === ':') line += ': ';
    else line += token;
  }
  return line;
}
