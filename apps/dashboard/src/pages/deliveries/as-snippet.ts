import type { SentRequest } from './as-curl.ts';
import { stringLiteral } from './source-text.ts';

export const SNIPPETS = {
  node: { label: 'Node', install: 'npm install standardwebhooks', run: 'node verify.mjs', write: node },
  python: {
    label: 'Python',
    install: 'pip install standardwebhooks',
    run: 'python3 verify.py',
    write: python,
  },
  go: {
    label: 'Go',
    install: 'go get github.com/standard-webhooks/standard-webhooks/libraries',
    run: 'go run verify.go',
    write: go,
  },
} as const;

export type SnippetName = keyof typeof SNIPPETS;

const HEADERS = ['webhook-id', 'webhook-timestamp', 'webhook-signature'] as const;

/** The three headers that say what was signed and how. */
function signedHeaders({ headers }: SentRequest): [string, string][] {
  return HEADERS.map((name) => [
    name,
    headers.find((header) => header.name.toLowerCase() === name)?.value ?? '',
  ]);
}

function node(request: SentRequest, body: string): string {
  const lines = signedHeaders(request).map(
    ([name, value]) => `  ${stringLiteral(name, 'JavaScript')}: ${stringLiteral(value, 'JavaScript')},`,
  );
  return `import { Webhook } from "standardwebhooks";

const webhook = new Webhook(process.env.WEBHOOK_SECRET); // whsec_…
const headers = {
${lines.join('\n')}
};
const body = ${stringLiteral(body, 'JavaScript')};

// A receiver calls webhook.verify(body, headers). That refuses what is older than five minutes too, and this request
// may be by now: so only its signature is checked here.
const signedAt = new Date(Number(headers["webhook-timestamp"]) * 1000);
const expected = webhook.sign(headers["webhook-id"], signedAt, body);
if (!headers["webhook-signature"].split(" ").includes(expected)) {
  throw new Error("The signature does not match");
}
console.log("The signature matches");
`;
}

function python(request: SentRequest, body: string): string {
  const lines = signedHeaders(request).map(
    ([name, value]) => `    ${stringLiteral(name, 'Python')}: ${stringLiteral(value, 'Python')},`,
  );
  return `import os
from datetime import datetime, timezone

from standardwebhooks.webhooks import Webhook

webhook = Webhook(os.environ["WEBHOOK_SECRET"])  # whsec_…
headers = {
${lines.join('\n')}
}
body = ${stringLiteral(body, 'Python')}

# A receiver calls webhook.verify(body, headers). That refuses what is older than five minutes too, and this request
# may be by now: so only its signature is checked here.
signed_at = datetime.fromtimestamp(int(headers["webhook-timestamp"]), tz=timezone.utc)
expected = webhook.sign(headers["webhook-id"], signed_at, body)
if expected not in headers["webhook-signature"].split(" "):
    raise SystemExit("The signature does not match")
print("The signature matches")
`;
}

function go(request: SentRequest, body: string): string {
  const lines = signedHeaders(request).map(
    ([name, value]) => `\theaders.Set(${stringLiteral(name, 'Go')}, ${stringLiteral(value, 'Go')})`,
  );
  return `package main

import (
\t"fmt"
\t"log"
\t"net/http"
\t"os"

\tstandardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

func main() {
\twebhook, err := standardwebhooks.NewWebhook(os.Getenv("WEBHOOK_SECRET")) // whsec_…
\tif err != nil {
\t\tlog.Fatal(err)
\t}
\theaders := http.Header{}
${lines.join('\n')}
\tbody := ${stringLiteral(body, 'Go')}

\t// A receiver calls webhook.Verify, which refuses what is older than five minutes too. This request may be by now.
\tif err := webhook.VerifyIgnoringTimestamp([]byte(body), headers); err != nil {
\t\tlog.Fatal(err)
\t}
\tfmt.Println("The signature matches")
}
`;
}
