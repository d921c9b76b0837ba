import { Controller, Delete, Get, HttpCode, Inject, Patch, Post, Req, Res } from '@nestjs/common';
import { encodeId } from '@posthorn/core';
import { SecretBox, type Config, type Logger } from '@posthorn/runtime';
import {
  countBacklogs,
  Database,
  deleteSubscription,
  getSubscription,
  listSubscriptions,
  liveSecrets,
  pauseSubscription,
  resumeSubscription,
  type StoredSubscription,
} from '@posthorn/store';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { showDelivery } from '../deliveries/show-delivery.js';
import { HintSender } from '../hint-sender.js';
import { page, type Page } from '../http/cursor.js';
import { bodyOf, optionalBodyOf, queryOf } from '../http/input.js';
import { readJson } from '../http/json-body.js';
import { Serves } from '../http/operation.js';
import { pageRequestOf, sliceOf } from '../http/page-query.js';
import { isPortal, listScopeOf, principalOf, tenantFor } from '../http/principal.js';
import { CONFIG, LOGGER } from '../http/tokens.js';
import { cancelBacklogOfDeleted } from './cancel-backlog-of-deleted.js';
import { createSubscription } from './create-subscription.js';
import { keepLimits } from './keep-limits.js';
import { parsePatch, patchSubscription } from './patch-subscription.js';
import {
  presentRotation,
  presentSecrets,
  presentSubscription,
  type PresentedSubscription,
} from './present-subscription.js';
import { previewSubscription } from './preview-subscription.js';
import { previewSubscriptionOperation } from './preview-subscription.schema.js';
import { rotateSecret } from './rotate-secret.js';
import { subscriptionRules, type SubscriptionDeps } from './subscription-rules.js';
import { found, subscriptionNotFound, target } from './subscription-target.js';
import {
  createSubscriptionOperation,
  deleteSubscriptionOperation,
  getSubscriptionOperation,
  listSubscriptionsOperation,
  newSubscription,
  patchSubscriptionOperation,
  pauseSubscriptionOperation,
  resumeSubscriptionOperation,
  revealSecretsOperation,
  rotateSecretOperation,
  secretRotation,
  subscriptionsQuery,
  testRequest,
  testSubscriptionOperation,
} from './subscriptions.schema.js';
import { testSubscription } from './test-subscription.js';

/** What a backlog is counted to. It is read from an index, but not for nothing. */
const MAX_BACKLOG_COUNTED = 10_000;
const MAX_BACKLOG_COUNTED_IN_LIST = 1000;

/** A worker may be busy; longer than this, it is missing. */
const TEST_SLACK_MS = 10_000;

/** Where a tenant's events go. */
@Controller('v1/subscriptions')
export class SubscriptionsController {
  private readonly deps: SubscriptionDeps;

  constructor(
    db: Database,
    box: SecretBox,
    private readonly hints: HintSender,
    @Inject(CONFIG) config: Config,
    @Inject(LOGGER) private readonly log: Logger,
  ) {
    this.deps = { db, box, rules: subscriptionRules(config) };
  }

  @Post()
  @Serves(createSubscriptionOperation)
  async create(@Req() request: FastifyRequest, @Res({ passthrough: true }) reply: FastifyReply) {
    const { defaults } = this.deps.rules;
    const principal = principalOf(request);
    const input = keepLimits(principal, bodyOf(request, newSubscription), undefined, defaults);
    const tenant = tenantFor(principal, input.tenant);
    const { stored, secret } = await createSubscription(this.deps, tenant, input);
    const { db, rules } = this.deps;
    const presented = presentSubscription(stored, undefined, rules.defaults, db.nowMs());
    reply.header('location', `/v1/subscriptions/${presented.id}`);
    return { ...presented, secret };
  }

  @Get()
  @Serves(listSubscriptionsOperation)
  async list(@Req() request: FastifyRequest): Promise<Page<PresentedSubscription>> {
    const query = queryOf(request, subscriptionsQuery);
    const scope = listScopeOf(principalOf(request), query.tenant);
    const wanted = pageRequestOf(query);
    const { db, rules } = this.deps;
    const rows = await listSubscriptions(db, scope, sliceOf(wanted), query.state);
    const ids = rows.map((row) => row.id);
    const backlogs = await countBacklogs(db, ids, MAX_BACKLOG_COUNTED_IN_LIST);
    return page(
      rows,
      wanted,
      (row) => row.id,
      (row) => presentSubscription(row, backlogs.get(row.id), rules.defaults, db.nowMs()),
    );
  }

  @Post('preview')
  @HttpCode(200)
  @Serves(previewSubscriptionOperation)
  async preview(@Req() request: FastifyRequest) {
    return previewSubscription(this.deps, principalOf(request), request.body as Buffer | undefined);
  }

  @Get(':id')
  @Serves(getSubscriptionOperation)
  async get(@Req() request: FastifyRequest): Promise<PresentedSubscription> {
    const { id, scope } = target(request);
    return this.present(found(await getSubscription(this.deps.db, scope, id)));
  }

  @Patch(':id')
  @Serves(patchSubscriptionOperation)
  async patch(@Req() request: FastifyRequest): Promise<PresentedSubscription> {
    const { id, scope } = target(request);
    const principal = principalOf(request);
    const asked = parsePatch(readJson(request.body as Buffer | undefined));
    const { db, rules } = this.deps;
    const patch = isPortal(principal)
      ? keepLimits(principal, asked, found(await getSubscription(db, scope, id)), rules.defaults)
      : asked;
    return this.present(found(await patchSubscription(this.deps, scope, id, patch)));
  }

  @Delete(':id')
  @HttpCode(204)
  @Serves(deleteSubscriptionOperation)
  async delete(@Req() request: FastifyRequest): Promise<void> {
    const { id, scope } = target(request);
    if (!(await deleteSubscription(this.deps.db, scope, id))) throw subscriptionNotFound();
    await cancelBacklogOfDeleted(this.deps.db, this.log);
  }

  @Post(':id/pause')
  @HttpCode(200)
  @Serves(pauseSubscriptionOperation)
  async pause(@Req() request: FastifyRequest): Promise<PresentedSubscription> {
    const { id, scope } = target(request);
    return this.present(found(await pauseSubscription(this.deps.db, scope, id)));
  }

  @Post(':id/resume')
  @HttpCode(200)
  @Serves(resumeSubscriptionOperation)
  async resume(@Req() request: FastifyRequest): Promise<PresentedSubscription> {
    const { id, scope } = target(request);
    return this.present(found(await resumeSubscription(this.deps.db, scope, id)));
  }

  @Get(':id/secret')
  @Serves(revealSecretsOperation)
  async reveal(@Req() request: FastifyRequest) {
    const { id, scope } = target(request);
    const live = found(await liveSecrets(this.deps.db, scope, id));
    this.note('secret.revealed', request, id);
    return presentSecrets(live, this.deps.box);
  }

  @Post(':id/secret/rotate')
  @HttpCode(200)
  @Serves(rotateSecretOperation)
  async rotate(@Req() request: FastifyRequest) {
    const { id, scope } = target(request);
    const rotation = optionalBodyOf(request, secretRotation);
    const live = found(await rotateSecret(this.deps, scope, id, rotation));
    this.note('secret.rotated', request, id);
    return presentRotation(live, this.deps.box);
  }

  @Post(':id/test')
  @HttpCode(200)
  @Serves(testSubscriptionOperation)
  async test(@Req() request: FastifyRequest) {
    const { id, scope } = target(request);
    const { eventType } = optionalBodyOf(request, testRequest);
    const deps = { ...this.deps, hints: this.hints, slackMs: TEST_SLACK_MS };
    const delivery = found(await testSubscription(deps, scope, id, eventType));
    return showDelivery(this.deps.db, delivery, this.deps.rules.defaults.maxInFlight);
  }

  private async present(stored: StoredSubscription): Promise<PresentedSubscription> {
    const { db, rules } = this.deps;
    const backlogs = await countBacklogs(db, [stored.id], MAX_BACKLOG_COUNTED);
    return presentSubscription(stored, backlogs.get(stored.id), rules.defaults, db.nowMs());
  }

  /** Who saw or changed a signing secret is something to look up later. */
  private note(event: string, request: FastifyRequest, id: string): void {
    this.log.info(event, {
      requestId: request.id,
      keyId: encodeId('key', principalOf(request).keyId),
      subscriptionId: encodeId('sub', id),
    });
  }
}
