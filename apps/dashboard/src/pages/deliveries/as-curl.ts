import type { Schemas } from '../../api/client.ts';
import { shellWord } from './source-text.ts';

export type SentRequest = NonNullable<Schemas['Attempt']['request']>;

export const REDACTED = '[redacted]';

/** Linux takes no argument longer than 128 KiB, quotes not counted. */
const MAX_ARGUMENT_LENGTH = 100_000;

/** curl says these itself, for the connection that it makes. */
const OF_THE_CONNECTION = new Set(['host', 'connection', 'content-length']);

/** What curl would add that was not sent. */
const ADDED_BY_CURL = ['accept', 'expect'];

/**
 * The same request once more, byte for byte, for bash or zsh. What a stranger wrote (URL, names of headers, body) is
 * quoted: it is never taken for anything but itself by the shell, nor by curl.
 */
export function asCurl({ url, headers }: SentRequest, body: string): string {
  const sent = headers.filter(({ name }) => !OF_THE_CONNECTION.has(name.toLowerCase()));
  const names = new Set(sent.map(({ name }) => name.toLowerCase()));
  const word = shellWord(body);
  const isLong = word.length > MAX_ARGUMENT_LENGTH;
  const options = [
    '--globoff --path-as-is --http1.1 -sS -i -X POST',
    ...sent.map((header) => `-H ${shellWord(headerLine(header))}`),
    ...ADDED_BY_CURL.filter((name) => !names.has(name)).map((name) => `-H '${name}:'`),
    `--data-binary ${isLong ? '@-' : word}`,
    shellWord(url),
  ];
  const command = `curl ${options.join(' \\\n  ')}`;
  return [
    // Without the names: a shell that knows no comments would run this line.
    ...(sent.some(({ value }) => value === REDACTED)
      ? ['# What is redacted below is secret and not kept here. Put the values in before you run it.']
      : []),
    isLong ? `printf %s ${word} |\n${command}` : command, // printf is part of the shell and has no such limit
  ].join('\n');
}

/** A header without a value ends with a semicolon: with a colon curl would leave it out. */
function headerLine({ name, value }: { name: string; value: string }): string {
  return value === '' ? `${name};` : `${name}: ${value}`;
}
