import { useQueryClient } from '@tanstack/react-query';
import { useCallback } from 'react';

/** Asks again for whatever is shown about subscriptions, after one was changed. */
export function useRefreshSubscriptions(): () => Promise<void> {
  const queries = useQueryClient();
  return useCallback(
    () =>
      queries.invalidateQueries({
        predicate: ({ queryKey: [method, path] }) =>
          method === 'get' && typeof path === 'string' && path.startsWith('/v1/subscriptions'),
      }),
    [queries],
  );
}
