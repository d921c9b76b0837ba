import type { UseQueryResult } from '@tanstack/react-query';
import type { ReactNode } from 'react';
import { asProblem } from '../api/client.ts';
import { Loading } from './loading.tsx';
import { ProblemNotice } from './problem-notice.tsx';

/** What a query brought, once it is there; what it shows does not vanish while it is asked for again. */
export function Loaded<Data>({
  query,
  lines,
  children,
}: {
  query: Pick<UseQueryResult<Data, unknown>, 'data' | 'error' | 'isPending' | 'refetch'>;
  /** Rows to expect. */
  lines?: number;
  children: (data: Data) => ReactNode;
}) {
  if (query.data !== undefined) {
    return (
      <>
        {query.error !== null && (
          <p role="status" className="text-warning mb-3 text-sm">
            What is shown is not new: {asProblem(query.error).detail}
          </p>
        )}
        {children(query.data)}
      </>
    );
  }
  if (query.isPending) return lines === undefined ? <Loading /> : <Loading lines={lines} />;
  return <ProblemNotice error={query.error} onRetry={() => void query.refetch()} />;
}
