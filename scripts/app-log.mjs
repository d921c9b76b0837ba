import fs from 'node:fs';

/** A log file is set aside above this size, at start and while running; one older file is kept. */
const LOG_LIMIT_BYTES = 20 * 1024 * 1024;
const READ_EVERY_MS = 300;
/** The same complaint is shown at most this often; the file has every one. */
const REPEAT_AFTER_MS = 30_000;
const SHOWN_CHARACTERS = 300;
const ON_EVERY_LINE = ['event', 'level', 'time', 'app', 'version', 'pid'];

/**
 * The log file of one app. The app writes to it by itself, so that it is whole even when the launcher is killed; this
 * reads along and shows what a person at the terminal should know.
 */
export class AppLog {
  #offset;
  #rest = '';
  #complaints = new Map();
  #timer;

  /** @param {(line: string) => void} say shows a line. @param {boolean} verbose shows everything as it is. */
  constructor({ name, file, say, verbose }) {
    Object.assign(this, { name, file, say, verbose });
    this.#setAside();
    this.#offset = size(file);
    this.#timer = setInterval(() => this.read(), READ_EVERY_MS);
    this.#timer.unref();
  }

  /** A file descriptor for the app to write to. Opened for appending, which is what lets the file be emptied under it. */
  open() {
    return fs.openSync(this.file, 'a', 0o600);
  }

  /** The last lines that are worth showing after a death. */
  lastLines(count = 5) {
    return this.#tail(16_384)
      .split('\n')
      .filter((line) => line.trim() !== '')
      .slice(-count)
      .map((line) => this.#short(describe(parse(line)) ?? line));
  }

  read() {
    const upTo = size(this.file);
    if (upTo < this.#offset) this.#offset = 0;
    while (this.#offset < upTo) {
      const chunk = Buffer.alloc(Math.min(1 << 20, upTo - this.#offset));
      const file = fs.openSync(this.file, 'r');
      const read = fs.readSync(file, chunk, 0, chunk.length, this.#offset);
      fs.closeSync(file);
      if (read === 0) break;
      this.#offset += read;
      const lines = (this.#rest + chunk.toString('utf8', 0, read)).split('\n');
      this.#rest = lines.pop().slice(-65_536);
      for (const line of lines) this.#see(line);
    }
    if (upTo > LOG_LIMIT_BYTES) {
      this.#setAside();
      this.#offset = 0;
    }
  }

  close() {
    clearInterval(this.#timer);
    this.read();
  }

  #see(line) {
    if (this.verbose) {
      this.say(`[${this.name}] ${line}`);
      return;
    }
    const entry = parse(line);
    if (entry?.level !== 'warn' && entry?.level !== 'error') return;
    const known = this.#complaints.get(entry.event) ?? { unshown: 0, shownAtMs: -Infinity };
    this.#complaints.set(entry.event, known);
    if (performance.now() - known.shownAtMs < REPEAT_AFTER_MS) {
      known.unshown += 1;
      return;
    }
    const more = known.unshown > 0 ? ` (and ${known.unshown} like it since)` : '';
    Object.assign(known, { unshown: 0, shownAtMs: performance.now() });
    this.say(`${this.name} ${entry.level}: ${this.#short(describe(entry))}${more}`);
  }

  #short(text) {
    return text.length > SHOWN_CHARACTERS ? `${text.slice(0, SHOWN_CHARACTERS)}…` : text;
  }

  #tail(bytes) {
    try {
      return fs.readFileSync(this.file, 'utf8').slice(-bytes);
    } catch {
      return '';
    }
  }

  #setAside() {
    if (size(this.file) <= LOG_LIMIT_BYTES) return;
    // Copied and emptied, not renamed: a running app keeps writing to the same file.
    fs.copyFileSync(this.file, `${this.file}.1`);
    fs.truncateSync(this.file);
  }
}

function size(file) {
  try {
    return fs.statSync(file).size;
  } catch {
    return 0;
  }
}

function parse(line) {
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}

/** `store.unavailable {"error":"…"}`: the event and its fields, without those that every line has. */
function describe(entry) {
  if (typeof entry?.event !== 'string') return undefined;
  const fields = Object.entries(entry).filter(([name]) => !ON_EVERY_LINE.includes(name));
  return fields.length > 0 ? `${entry.event} ${JSON.stringify(Object.fromEntries(fields))}` : entry.event;
}
