import { isDeepStrictEqual } from 'node:util';
import type { StoredSubscription } from '@posthorn/store';
import { isPortal, type Principal } from '../http/principal.js';
import { ProblemError, type FieldError } from '../http/problem.js';
import type { SendingDefaults } from './present-subscription.js';

type Limits = Pick<StoredSubscription, 'maxInFlight' | 'rateLimit'>;
type AskedLimits = { [Name in keyof Limits]?: Limits[Name] | undefined };

/**
 * What somebody asks for, without limits if they are not theirs to set: how fast a tenant is sent to is the producer's
 * to say. Naming a limit as it is does no harm, so that a form can send back what it was given. Throws
 * `limit_not_yours` for any other one.
 *
 * @param stored the subscription that is changed; undefined for a new one
 */
export function keepLimits<Asked extends AskedLimits>(
  principal: Principal,
  asked: Asked,
  stored: Limits | undefined,
  defaults: SendingDefaults,
): Asked {
  if (!isPortal(principal)) return asked;
  const { maxInFlight, rateLimit, ...rest } = asked;
  const is = {
    maxInFlight: stored?.maxInFlight ?? defaults.maxInFlight,
    rateLimit: stored?.rateLimit ?? null,
  };
  const errors: FieldError[] = [];
  if (maxInFlight !== undefined && (maxInFlight ?? defaults.maxInFlight) !== is.maxInFlight) {
    errors.push({
      pointer: '#/maxInFlight',
      detail: `is ${is.maxInFlight}, which only the producer changes`,
    });
  }
  if (rateLimit !== undefined && !isDeepStrictEqual(rateLimit, is.rateLimit)) {
    const shown = is.rateLimit ? JSON.stringify(is.rateLimit) : 'not limited';
    errors.push({ pointer: '#/rateLimit', detail: `is ${shown}, which only the producer changes` });
  }
  if (errors.length > 0) {
    throw new ProblemError('limit_not_yours', 'How fast a subscription is sent to is not yours to set.', {
      errors,
    });
  }
  return rest as Asked;
}
