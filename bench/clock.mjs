const offsetMs = Number(process.hrtime.bigint()) / 1e6 - performance.now();

/** Milliseconds on the monotonic clock of this machine, which is the same one in every process. */
export const nowMs = () => performance.now() + offsetMs;
