import 'reflect-metadata';
import { CommanderError } from 'commander';
import { sentenceOf } from './failure.js';
import { posthorn } from './posthorn.js';

try {
  await posthorn({
    print: (line) => process.stdout.write(`${line}\n`),
    note: (line) => process.stderr.write(`${line}\n`),
  }).parseAsync();
} catch (error) {
  if (error instanceof CommanderError) {
    process.exitCode = error.exitCode; // it has said what is wrong
  } else {
    process.stderr.write(`posthorn: ${sentenceOf(error)}\n`);
    process.exitCode = 1;
  }
}
