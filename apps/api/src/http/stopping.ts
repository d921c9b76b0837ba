/** Whether the process has begun to stop: it finishes what it has and takes nothing new. */
export class Stopping {
  begun = false;

  /** Nest calls it before it stops listening. */
  beforeApplicationShutdown(): void {
    this.begun = true;
  }
}
