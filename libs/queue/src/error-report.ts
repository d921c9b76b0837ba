/** Identical errors are told once in this time; a backend that is down says the same many times a second. */
const REPEAT_AFTER_MS = 10_000;

/** Different messages remembered; above it the oldest is forgotten and may be told early. */
const MAX_REMEMBERED = 50;

/** Passes errors on, each message at most once in ten seconds, and never throws itself. */
export class ErrorReport {
  readonly #toldAtMs = new Map<string, number>();
  readonly #onError: (error: Error) => void;
  readonly #nowMs: () => number;

  constructor(onError: (error: Error) => void, nowMs: () => number = () => performance.now()) {
    this.#onError = onError;
    this.#nowMs = nowMs;
  }

  tell(thrown: unknown): void {
    const error = thrown instanceof Error ? thrown : new Error(String(thrown));
    const nowMs = this.#nowMs();
    const toldAtMs = this.#toldAtMs.get(error.message);
    if (toldAtMs !== undefined && nowMs - toldAtMs < REPEAT_AFTER_MS) return;
    this.#toldAtMs.delete(error.message);
    this.#toldAtMs.set(error.message, nowMs);
    const [oldest] = this.#toldAtMs.keys();
    if (this.#toldAtMs.size > MAX_REMEMBERED && oldest !== undefined) this.#toldAtMs.delete(oldest);
    try {
      this.#onError(error);
    } catch {
      // Whoever listens to errors must not be able to break what they are about.
    }
  }
}
