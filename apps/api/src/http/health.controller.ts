import { Controller, Get, Res } from '@nestjs/common';
import { migrations } from '@posthorn/migrations';
import { HintQueue } from '@posthorn/queue';
import { Database, storeReadiness, type Check } from '@posthorn/store';
import type { FastifyReply } from 'fastify';
import { liveness, readiness } from './health.schema.js';
import { Serves } from './operation.js';
import { Stopping } from './stopping.js';

/** Anyone may ask whether we are ready; the database is asked at most this often. */
const REUSE_MS = 1_000;

interface Readiness {
  status: 'ready' | 'not_ready';
  checks: Record<string, Check>;
}

/** For load balancers and orchestrators: alive, and able to take requests. */
@Controller()
export class HealthController {
  private readonly expected = migrations.map((Migration) => new Migration().name);
  private latest: { atMs: number; result: Promise<Readiness> } | undefined;

  constructor(
    private readonly db: Database,
    private readonly queue: HintQueue,
    private readonly stopping: Stopping,
  ) {}

  @Get('healthz')
  @Serves(liveness)
  health(): { status: 'alive' } {
    return { status: 'alive' };
  }

  @Get('readyz')
  @Serves(readiness)
  async ready(@Res({ passthrough: true }) reply: FastifyReply): Promise<Readiness> {
    const nowMs = performance.now();
    if (!this.latest || nowMs - this.latest.atMs > REUSE_MS)
      this.latest = { atMs: nowMs, result: this.look() };
    const result = await this.latest.result;
    const ready = result.status === 'ready' && !this.stopping.begun;
    reply.code(ready ? 200 : 503);
    return { ...result, status: ready ? 'ready' : 'not_ready' };
  }

  private async look(): Promise<Readiness> {
    const store = await storeReadiness(this.db, this.expected);
    const ready = Object.values(store).every((check: Check) => check.ok);
    // Without the queue events are still accepted, and found later in Postgres: reported, not required.
    const queue = { ok: this.queue.isReady(), detail: this.queue.isReady() ? 'answers' : 'does not answer' };
    return { status: ready ? 'ready' : 'not_ready', checks: { ...store, queue } };
  }
}
