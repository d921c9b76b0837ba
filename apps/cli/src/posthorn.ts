import { Command } from 'commander';
import { loadConfig, VERSION, type ConfigWithoutKey } from '@posthorn/runtime';
import { SCOPES } from '@posthorn/store';
import { doctor } from './doctor.js';
import { createKey, listKeys, revokeKey, type CreateKeyOptions } from './keys.js';
import { migrate } from './migrate.js';
import { noteOnLink, signInLink } from './sign-in.js';
import { withDatabase } from './with-database.js';

/** Where a command writes: what was asked for, and what is to be known about it. */
interface Output {
  print: (line: string) => void;
  note: (line: string) => void;
}

/** The `posthorn` command. It needs `DATABASE_URL` and no other setting, and no other process to be running. */
export function posthorn({ print, note }: Output): Command {
  const program = new Command('posthorn')
    .description('Looks after a Posthorn deployment. Needs DATABASE_URL.')
    .version(VERSION)
    .showHelpAfterError('(see posthorn --help)')
    .exitOverride();

  program
    .command('migrate')
    .description('bring the database up to date; safe to run at any time, by any number of processes')
    .action(() => migrate(settings(), print));

  const keys = program.command('keys').description('API keys');
  keys
    .command('create')
    .description('make a key and print it; it cannot be shown again')
    .requiredOption('--scopes <list>', `comma-separated: ${SCOPES.join(', ')}`)
    .option('--tenant <id>', 'bind the key to one tenant')
    .option('--name <text>', 'what it is for')
    .option('--json', 'print JSON')
    .action((options: CreateKeyOptions) =>
      withDatabase(settings(), (db, config) => createKey(db, config, options, print)),
    );
  keys
    .command('list')
    .description('list keys, newest first')
    .option('--tenant <id>', 'only those bound to this tenant')
    .option('--json', 'print JSON')
    .action((options: { tenant?: string; json?: boolean }) =>
      withDatabase(settings(), (db) => listKeys(db, options, print)),
    );
  keys
    .command('revoke')
    .description('revoke a key: when this is done, it is refused everywhere')
    .argument('<id>', 'key_… as listed')
    .action((id: string) => withDatabase(settings(), (db) => revokeKey(db, id, print)));

  program
    .command('sign-in')
    .description('print a link that opens the dashboard: it works once, within 15 minutes')
    .option('--key <id>', 'sign in as this key (default: the newest one that may do everything)')
    .action((options: { key?: string }) =>
      withDatabase(settings(), async (db, config) => {
        print(await signInLink(db, config, options));
        note(await noteOnLink(config));
      }),
    );

  program
    .command('doctor')
    .description('check the deployment, or find out why webhooks do not arrive at a subscription')
    .argument('[subscription]', 'sub_…: send it a signed test event and say what that meets')
    .option('--json', 'print JSON')
    .action((subscription: string | undefined, options: { json?: boolean }) =>
      doctor(subscription, options.json === true, print),
    );

  return program;
}

function settings(): ConfigWithoutKey {
  return loadConfig(undefined, { requireEncryptionKey: false });
}
