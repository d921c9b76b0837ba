import { spawn, type ChildProcess } from 'node:child_process';

/** Reads `pid SIGNAL` lines from its stdin, and sends the signals when that ends: when we have, whatever the way. */
const GUARDIAN = `
  process.stdin.setEncoding('utf8');
  let text = '';
  process.stdin.on('data', (chunk) => (text += chunk));
  process.stdin.on('end', () => {
    const guarded = new Map(text.trim().split('\\n').map((line) => line.split(' ')));
    for (const [pid, signal] of guarded) {
      if (signal !== 'none') try { process.kill(Number(pid), signal); } catch {}
    }
  });
`;

let guardian: ChildProcess | undefined;

/**
 * Sees to it that a process does not outlive the tests, even when a test throws or Jest is killed: Jest gives specs a
 * `process` that never emits 'exit', so that nothing inside can.
 */
export function endWithTheTests(child: ChildProcess, signal: NodeJS.Signals = 'SIGKILL'): void {
  if (child.pid === undefined) return;
  if (!guardian) {
    // A group of its own, so that what interrupts Jest does not interrupt it.
    guardian = spawn(process.execPath, ['-e', GUARDIAN], {
      stdio: ['pipe', 'ignore', 'ignore'],
      detached: true,
    });
    guardian.unref();
    (guardian.stdin as unknown as { unref(): void }).unref();
  }
  const { pid } = child;
  const { stdin } = guardian;
  stdin?.write(`${pid} ${signal}\n`);
  child.once('exit', () => stdin?.write(`${pid} none\n`)); // its pid may be given to somebody else
}
