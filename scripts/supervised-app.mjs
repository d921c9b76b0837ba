import { spawn } from 'node:child_process';
import fs from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { identify, lives } from './process-identity.mjs';
import { builtMain, Refusal } from './repository.mjs';

/** An app that lived less than this died fast; this many fast deaths running are not worth another try. */
const FAST_DEATH_MS = 10_000;
const MAX_FAST_DEATHS = 5;
const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 8_000;

/** Keeps one app running until it is stopped: an unexpected end is told, and made up for after a growing pause. */
export class SupervisedApp {
  #child;
  #exited;
  #stopping = new AbortController();
  #fastDeaths = 0;

  /**
   * @param {{ name: string, env: object, log: import('./app-log.mjs').AppLog, say: (line: string) => void,
   *   onStart: (pid: number) => void, onGivenUp: (reason: Refusal) => void }} options
   */
  constructor(options) {
    Object.assign(this, options);
    this.#start();
  }

  get pid() {
    return this.#child.pid;
  }

  /** Asks it to end, waits `graceMs`, then ends it. */
  async stop(graceMs) {
    this.#stopping.abort();
    const identity = identify(this.#child.pid);
    if (lives(identity)) this.#child.kill('SIGTERM');
    const force = setTimeout(() => this.kill(), graceMs);
    await this.#exited;
    clearTimeout(force);
  }

  kill() {
    this.#stopping.abort();
    this.#child.kill('SIGKILL');
  }

  #start() {
    const output = this.log.open();
    const startedMs = performance.now();
    // A process group of its own: the terminal's Ctrl-C reaches the launcher, which stops things in their order.
    this.#child = spawn(process.execPath, ['--enable-source-maps', builtMain(this.name)], {
      env: this.env,
      stdio: ['ignore', output, output],
      detached: true,
    });
    fs.closeSync(output);
    if (this.#child.pid !== undefined) this.onStart(this.#child.pid);
    this.#exited = new Promise((resolve) => {
      this.#child.once('error', (error) => resolve(error.message));
      this.#child.once('exit', (code, signal) => resolve(code ?? signal));
    });
    void this.#exited.then((how) => this.#ended(how, performance.now() - startedMs));
  }

  async #ended(how, livedMs) {
    if (this.#stopping.signal.aborted) return;
    this.log.read();
    this.#fastDeaths = livedMs < FAST_DEATH_MS ? this.#fastDeaths + 1 : 0;
    const said = this.log.lastLines().map((line) => `\n    ${line}`);
    if (this.#fastDeaths >= MAX_FAST_DEATHS) {
      const reason = `${this.name} ended ${MAX_FAST_DEATHS} times right after its start (last: ${how}), giving up.`;
      this.onGivenUp(new Refusal(`${reason} Its last lines in ${this.log.file}:${said.join('')}`));
      return;
    }
    const pauseMs = Math.min(FIRST_PAUSE_MS * 2 ** Math.max(0, this.#fastDeaths - 1), LONGEST_PAUSE_MS);
    this.say(
      `${this.name} ended unexpectedly (${how}); starting it again in ${pauseMs / 1000} s${said.slice(-1).join('')}`,
    );
    try {
      await sleep(pauseMs, undefined, { signal: this.#stopping.signal });
    } catch {
      return; // stopped meanwhile
    }
    this.#start();
  }
}
