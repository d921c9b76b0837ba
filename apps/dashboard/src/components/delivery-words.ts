import type { Schemas } from '../api/client.ts';

type Delivery = Schemas['Delivery'];

export const WAITING_WORDS: Readonly<Record<NonNullable<Delivery['waitingFor']>, string>> = {
  subscription_paused: 'until its subscription is resumed: it is paused',
  subscription_disabled: 'until its subscription is resumed: it is disabled',
  subscription_held: 'for its subscription, which is held',
  order: 'for an earlier delivery, because its subscription is in order',
  rate_limit: 'for the rate limit of its subscription',
  capacity: 'for its turn: as many are in flight as may be',
};

export const REASON_WORDS: Readonly<Record<NonNullable<Delivery['reason']>, string>> = {
  no_retries_left: 'no retries left',
  lost_repeatedly: 'lost repeatedly',
  internal_error: 'a fault of Posthorn',
  cancelled_by_request: 'cancelled by request',
  subscription_deleted: 'its subscription was deleted',
  payload_erased: 'its payload was erased',
};

/** What came of the latest attempt: a status if there was one, else what kept it from coming. */
export function lastAnswerWords({ attemptCount, lastOutcome, lastStatusCode }: Delivery): string {
  if (lastStatusCode !== null) return String(lastStatusCode);
  if (lastOutcome !== null) return lastOutcome;
  return attemptCount === 0 ? 'not attempted yet' : 'none yet';
}

export function isOpen({ state }: Pick<Delivery, 'state'>): boolean {
  return state === 'pending' || state === 'in_flight';
}
