import { Controller, Get, Inject, Req } from '@nestjs/common';
import type { Config } from '@posthorn/runtime';
import { Database, getSubscription, readStanding, readStatistics, type TenantScope } from '@posthorn/store';
import type { FastifyRequest } from 'fastify';
import { paramsOf, queryOf } from '../http/input.js';
import { Serves } from '../http/operation.js';
import { listScopeOf, principalOf, scopeOf } from '../http/principal.js';
import { CONFIG } from '../http/tokens.js';
import { subscriptionNotFound } from '../subscriptions/subscription-target.js';
import { presentStatistics } from './present-statistics.js';
import { showSubscriptions } from './show-subscriptions.js';
import { HOUR_MS, statisticsRange, type AskedRange } from './statistics-range.js';
import {
  DEFAULT_LIMIT,
  getStatistics,
  getStatisticsOfSubscriptions,
  getSubscriptionStatistics,
  SPARKS,
  statisticsQuery,
  subscriptionPath,
  subscriptionsStatisticsQuery,
  subscriptionStatisticsQuery,
} from './statistics.schema.js';

const DAY_MS = 24 * HOUR_MS;

/** What was attempted and delivered, and how things stand. */
@Controller('v1')
export class StatisticsController {
  constructor(
    private readonly db: Database,
    @Inject(CONFIG) private readonly config: Config,
  ) {}

  @Get('stats')
  @Serves(getStatistics)
  async get(@Req() request: FastifyRequest) {
    const query = queryOf(request, statisticsQuery);
    const scope = oneOrAll(listScopeOf(principalOf(request), query.tenant));
    const range = statisticsRange(asked(query), await this.db.reliableNowMs());
    const [steps, now] = await Promise.all([
      readStatistics(this.db, { scope, subscriptionId: null }, range),
      readStanding(this.db, scope, this.config.OFFER_AFTER_MS),
    ]);
    return { ...presentStatistics(range, steps), now };
  }

  @Get('stats/subscriptions')
  @Serves(getStatisticsOfSubscriptions)
  async subscriptions(@Req() request: FastifyRequest) {
    const query = queryOf(request, subscriptionsStatisticsQuery);
    const principal = principalOf(request);
    const scopeOfAsked = query.subscriptions ? scopeOf : listScopeOf;
    const nowMs = await this.db.reliableNowMs();
    const { since = (query.until ?? nowMs) - DAY_MS, until = nowMs } = query;
    const stepMs = Math.max(1, Math.floor((until - since) / SPARKS));
    return showSubscriptions(this.db, scopeOfAsked(principal, query.tenant), {
      ids: query.subscriptions,
      sort: query.sort ?? 'failures',
      limit: query.limit ?? DEFAULT_LIMIT,
      range: statisticsRange({ sinceMs: since, untilMs: until, stepMs }, nowMs),
    });
  }

  @Get('subscriptions/:id/stats')
  @Serves(getSubscriptionStatistics)
  async ofSubscription(@Req() request: FastifyRequest) {
    const { id } = paramsOf(request, subscriptionPath);
    const query = queryOf(request, subscriptionStatisticsQuery);
    const scope = scopeOf(principalOf(request));
    const subscription = id === undefined ? undefined : await getSubscription(this.db, scope, id);
    if (!subscription) throw subscriptionNotFound();
    const range = statisticsRange(asked(query), await this.db.reliableNowMs());
    const subject = { scope: { tenant: subscription.tenant }, subscriptionId: subscription.id };
    return presentStatistics(range, await readStatistics(this.db, subject, range));
  }
}

function asked(query: {
  since?: number | undefined;
  until?: number | undefined;
  stepMs?: number | undefined;
}): AskedRange {
  return { sinceMs: query.since, untilMs: query.until, stepMs: query.stepMs };
}

/** Sums are kept of each tenant and of everybody but Posthorn. */
function oneOrAll(scope: TenantScope): Exclude<TenantScope, { all: true }> {
  return 'all' in scope ? { allButSystem: true } : scope;
}
