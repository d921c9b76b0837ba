import { Controller, HttpCode, Inject, Post, Req, Res } from '@nestjs/common';
import type { Diagnosis } from '@posthorn/core';
import { SecretBox, type Config } from '@posthorn/runtime';
import { Sender } from '@posthorn/sender';
import { Database } from '@posthorn/store';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { Serves } from '../http/operation.js';
import { principalOf } from '../http/principal.js';
import { CONFIG } from '../http/tokens.js';
import { diagnoseSubscription, type DiagnoseDeps } from './diagnose-subscription.js';
import { diagnoseSubscriptionOperation } from './diagnosis.schema.js';
import { DiagnosisSlots } from './diagnosis-slots.js';
import { subscriptionRules } from './subscription-rules.js';
import { found, target } from './subscription-target.js';

/** What keeps webhooks from arriving, found out by sending one. */
@Controller('v1/subscriptions')
export class DiagnosisController {
  private readonly deps: DiagnoseDeps;

  constructor(db: Database, box: SecretBox, sender: Sender, @Inject(CONFIG) config: Config) {
    this.deps = { db, box, sender, rules: subscriptionRules(config), slots: new DiagnosisSlots() };
  }

  @Post(':id/diagnose')
  @HttpCode(200)
  @Serves(diagnoseSubscriptionOperation)
  async diagnose(
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<Diagnosis> {
    const { id, scope } = target(request);
    const { tenant } = principalOf(request);
    const asker = new AbortController();
    reply.raw.once('close', () => asker.abort());
    return found(await diagnoseSubscription(this.deps, { scope, id, tenant, signal: asker.signal }));
  }
}
