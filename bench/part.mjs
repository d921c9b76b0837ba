// A part of the bench that runs as a process of its own, so that what it costs is seen apart and its event loop is
// nobody else's. The bench asks it for something and gets one answer; either may also tell the other something.
import { fork } from 'node:child_process';
import path from 'node:path';

const ANSWERS_WITHIN_MS = 180_000;

/** Starts `bench/<file>`. `undo` gets what ends it. */
export function startPart(file, undo) {
  const child = fork(path.join(import.meta.dirname, file), { serialization: 'advanced' });
  const open = new Map();
  let listener = () => undefined;
  let lastId = 0;
  let ended;
  child.on('message', ({ id, result, error, told }) => {
    if (told !== undefined) return listener(told);
    const asked = open.get(id);
    open.delete(id);
    return error === undefined ? asked?.resolve(result) : asked?.reject(new Error(`${file}: ${error}`));
  });
  child.once('exit', (code, signal) => {
    ended = new Error(`${file} ended (${code ?? signal})`);
    for (const asked of open.values()) asked.reject(ended);
  });
  undo.push(() => child.kill('SIGKILL'));
  return {
    pid: child.pid,
    ask(what, input = {}) {
      if (ended) return Promise.reject(ended);
      const id = ++lastId;
      return new Promise((resolve, reject) => {
        const late = setTimeout(
          () => reject(new Error(`${file} does not answer "${what}"`)),
          ANSWERS_WITHIN_MS,
        );
        late.unref();
        const settle = (how) => (value) => {
          clearTimeout(late);
          how(value);
        };
        open.set(id, { resolve: settle(resolve), reject: settle(reject) });
        child.send({ id, what, input });
      });
    },
    tell: (told) => void child.send({ told }),
    /** Who hears what the part tells; the latest one. */
    listen(to) {
      listener = to;
    },
  };
}

/** The other side: answers with what `answers[what](input)` returns. It ends with the bench. */
export function serve(answers, { onTold = () => undefined } = {}) {
  process.on('message', ({ id, what, input, told }) => {
    if (told !== undefined) return onTold(told);
    return Promise.resolve()
      .then(() => answers[what](input))
      .then(
        (result) => process.send({ id, result }),
        (error) => process.send({ id, error: String(error?.stack ?? error) }),
      );
  });
  process.on('disconnect', () => process.exit());
  // Ctrl-C reaches the whole group; the bench ends its parts when it has put everything away.
  process.on('SIGINT', () => undefined);
}

export const tell = (told) => process.send({ told });
