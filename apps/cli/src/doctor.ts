import { decodeId, type Diagnosis } from '@posthorn/core';
import { loadConfig, parseEncryptionKeys, SecretBox, targetRules } from '@posthorn/runtime';
import { Sender } from '@posthorn/sender';
import { getSubscription, loadSubscriptionsForSending, openForSending } from '@posthorn/store';
import { checkDeployment } from './check-deployment.js';
import { Refusal } from './failure.js';
import { withDatabase } from './with-database.js';

type Print = (line: string) => void;

/** Checks the deployment, or diagnoses one subscription. Throws a `Refusal` when something failed. */
export async function doctor(subscription: string | undefined, json: boolean, print: Print): Promise<void> {
  if (subscription === undefined) await printDeployment(json, print);
  else await printDiagnosis(subscription, json, print);
}

async function printDeployment(json: boolean, print: Print): Promise<void> {
  const findings = await checkDeployment();
  if (json) print(JSON.stringify(findings));
  else for (const { name, verdict, words, advice } of findings) print(line(verdict, name, words, advice));
  const failures = findings.filter(({ verdict }) => verdict === 'failed').length;
  if (failures > 0) throw new Refusal(`${failures} of ${findings.length} checks failed`);
}

async function printDiagnosis(subscription: string, json: boolean, print: Print): Promise<void> {
  const id = decodeId('sub', subscription);
  if (id === undefined) {
    throw new Refusal(`${JSON.stringify(subscription)} is not the id of a subscription (sub_…)`);
  }
  const diagnosis = await diagnose(id);
  if (!diagnosis) throw new Refusal(`there is no subscription ${subscription}`);
  if (json) {
    print(JSON.stringify(diagnosis));
  } else {
    for (const { name, verdict, words, durationMs } of diagnosis.steps) {
      print(line(verdict, name, verdict === 'skipped' ? words : `${words} (${durationMs} ms)`, null));
    }
    print(diagnosis.advice);
  }
  if (diagnosis.verdict === 'failed') throw new Refusal('webhooks do not arrive there');
}

/** From here, with the rules of this deployment: it needs no other process to be running. */
function diagnose(id: string): Promise<Diagnosis | undefined> {
  const config = loadConfig();
  return withDatabase(config, async (db) => {
    const subscription = await getSubscription(db, { all: true }, id);
    const [stored] = await loadSubscriptionsForSending(db, [id]);
    if (!subscription || !stored) return undefined;
    const box = new SecretBox(parseEncryptionKeys(config.ENCRYPTION_KEY));
    const sender = new Sender({ ...targetRules(config), userAgent: config.USER_AGENT });
    try {
      return await sender.diagnose({
        ...openForSending(stored, (sealed, context) => box.open(sealed, context)),
        url: stored.url,
        timeoutMs: stored.timeoutMs ?? config.REQUEST_TIMEOUT_MS,
        state: subscription.flow.state,
        audience: 'operator',
        nowMs: await db.reliableNowMs(),
        signal: new AbortController().signal,
      });
    } finally {
      await sender.close();
    }
  });
}

function line(verdict: string, name: string, words: string, advice: string | null): string {
  return `${verdict.padEnd(7)}  ${name.padEnd(14)}  ${words}${advice === null ? '' : ` ${advice}`}`;
}
