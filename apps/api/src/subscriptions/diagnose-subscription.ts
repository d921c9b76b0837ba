import type { Diagnosis } from '@posthorn/core';
import type { Sender } from '@posthorn/sender';
import {
  getSubscription,
  loadSubscriptionsForSending,
  openForSending,
  type TenantScope,
} from '@posthorn/store';
import { ProblemError } from '../http/problem.js';
import type { DiagnosisSlots } from './diagnosis-slots.js';
import type { SubscriptionDeps } from './subscription-rules.js';

export interface DiagnoseDeps extends SubscriptionDeps {
  sender: Sender;
  slots: DiagnosisSlots;
}

export interface DiagnoseInput {
  scope: TenantScope;
  id: string;
  /** Whose key or portal asks; null: one of all tenants. What is refused, and why, is the operator's to know. */
  tenant: string | null;
  /** Ends it: the client has hung up. */
  signal: AbortSignal;
}

/**
 * Sends a signed test event to the subscription from this process, in whatever state it is, and says of every step what
 * it met; undefined when there is no such subscription in the scope. No delivery, no attempt, and nothing of the
 * subscription is changed: what it finds is in the answer and nowhere else.
 *
 * Throws `diagnosis_running`, `diagnosis_limit_reached`, and `diagnosis_cancelled` when the client hung up, or this
 * process stops.
 */
export async function diagnoseSubscription(
  { db, box, rules, sender, slots }: DiagnoseDeps,
  { scope, id, tenant, signal }: DiagnoseInput,
): Promise<Diagnosis | undefined> {
  const subscription = await getSubscription(db, scope, id);
  if (!subscription) return undefined;
  return slots.hold(id, tenant, async () => {
    const [stored] = await loadSubscriptionsForSending(db, [id]);
    if (!stored) return undefined; // deleted meanwhile
    const asked = {
      ...openForSending(stored, (sealed, context) => box.open(sealed, context)),
      url: stored.url,
      timeoutMs: stored.timeoutMs ?? rules.defaults.timeoutMs,
      state: subscription.flow.state,
      audience: tenant === null ? ('operator' as const) : ('tenant' as const),
      nowMs: await db.reliableNowMs(),
      signal,
    };
    try {
      return await sender.diagnose(asked);
    } catch (error) {
      if (!(error instanceof DOMException && error.name === 'AbortError')) throw error;
      throw new ProblemError('diagnosis_cancelled', 'It was broken off before it came to an end.', {
        headers: { 'retry-after': '1' },
      });
    }
  });
}
