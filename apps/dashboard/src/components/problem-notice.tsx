import { asProblem } from '../api/client.ts';
import { Prose } from './prose.tsx';

/** A refusal, or no answer at all, in the words of the API, with what can be done. */
export function ProblemNotice({ error, onRetry }: { error: unknown; onRetry?: () => void }) {
  const problem = asProblem(error);
  return (
    <div role="alert" className="border-error/40 bg-base-100 rounded-box border p-4">
      <p className="text-error font-semibold">{problem.title}</p>
      <p className="mt-1 text-sm break-words">{problem.detail}</p>
      {problem.errors && (
        <ul className="mt-2 list-disc pl-5 text-sm">
          {problem.errors.map(({ pointer, detail }) => (
            <li key={pointer + detail}>
              <code>{pointer}</code> <Prose text={detail} />
            </li>
          ))}
        </ul>
      )}
      <div className="mt-2 flex flex-wrap items-center gap-3">
        {onRetry && (
          <button type="button" className="btn btn-sm" onClick={onRetry}>
            Try again
          </button>
        )}
        {problem.requestId !== undefined && (
          <p className="text-quiet text-xs">
            request <code>{problem.requestId}</code>
          </p>
        )}
      </div>
    </div>
  );
}
