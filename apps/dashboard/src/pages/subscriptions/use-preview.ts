import { keepPreviousData } from '@tanstack/react-query';
import { useEffect, useState } from 'react';
import { $api, type Schemas } from '../../api/client.ts';

/** Typing rests this long before the API is asked what it makes of it. */
const REST_MS = 300;

/**
 * What a subscription would do, as its form is filled in. While a newer answer is on its way the last one stays; one
 * that comes late, to a question that is no longer asked, is dropped.
 *
 * @param body a new subscription as far as it goes, or `id` and a patch
 */
export function usePreview(body: object) {
  const text = JSON.stringify(body);
  const settled = useSettled(text);
  const query = $api.useQuery(
    'post',
    '/v1/subscriptions/preview',
    { body: JSON.parse(settled) as Schemas['SubscriptionDraft'] },
    // What was typed, secrets among it, is not kept.
    { placeholderData: keepPreviousData, gcTime: 0, staleTime: 10_000 },
  );
  return { preview: query.data, error: query.error, isChecking: text !== settled || query.isFetching };
}

function useSettled(text: string): string {
  const [settled, setSettled] = useState(text);
  useEffect(() => {
    const timer = setTimeout(() => setSettled(text), REST_MS);
    return () => clearTimeout(timer);
  }, [text]);
  return settled;
}
