import { useQuery } from '@tanstack/react-query';
import { useMay } from '../session/session.tsx';
import { api, type Schemas } from './client.ts';

/** What is looked through where a page needs all of them; more than that is said to be more. */
export const MAX_SUBSCRIPTIONS = 1_000;
const PAGE_SIZE = 250;
const STALE_MS = 30_000;

/** The subscriptions of a tenant, or of all, up to `MAX_SUBSCRIPTIONS`; not asked for by whoever may not see them. */
export function useAllSubscriptions(tenant?: string) {
  const mayRead = useMay('subscriptions:read');
  return useQuery({
    queryKey: ['get', '/v1/subscriptions', 'all', tenant ?? null],
    enabled: mayRead,
    staleTime: STALE_MS,
    queryFn: async ({ signal }) => {
      const subscriptions: Schemas['Subscription'][] = [];
      let cursor: string | null | undefined;
      do {
        const { data, error } = await api.GET('/v1/subscriptions', {
          params: {
            query: {
              limit: PAGE_SIZE,
              ...(tenant !== undefined && { tenant }),
              ...(typeof cursor === 'string' && { cursor }),
            },
          },
          signal,
        });
        if (error) throw error;
        subscriptions.push(...data.data);
        cursor = data.nextCursor;
      } while (cursor !== null && subscriptions.length < MAX_SUBSCRIPTIONS);
      return { subscriptions, isMore: cursor !== null };
    },
  });
}

/** Whether a subscription with these patterns wants events of this type: the rule of the glossary's "pattern". */
export function wants(patterns: readonly string[], eventType: string): boolean {
  return patterns.some(
    (pattern) =>
      pattern === '*' ||
      pattern === eventType ||
      (pattern.endsWith('.*') && eventType.startsWith(pattern.slice(0, -1))),
  );
}
