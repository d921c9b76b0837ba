import type { Logger } from '@posthorn/runtime';
import { Unavailable } from '@posthorn/store';

/** The same trouble is reported this often, however often it comes. */
const REPEAT_MS = 10_000;

/** Reports what goes wrong without being asked to: at most one line per event name in ten seconds. */
export class Complaints {
  private readonly toldAtMs = new Map<string, number>();

  constructor(private readonly logger: Logger) {}

  tell(event: string, error: unknown, fields: Record<string, unknown> = {}): void {
    const nowMs = performance.now();
    if (nowMs - (this.toldAtMs.get(event) ?? -Infinity) < REPEAT_MS) return;
    this.toldAtMs.set(event, nowMs);
    // What passes by itself is a warning.
    this.logger[error instanceof Unavailable ? 'warn' : 'error'](event, { error, ...fields });
  }
}
