import { errorCodes, type ProblemKind } from './error-codes.js';

export const DOCS_HTML = `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Posthorn API</title>
<link rel="stylesheet" href="/docs/assets/swagger-ui.css">
<link rel="icon" href="data:,">
<div id="reference"><p>This page needs JavaScript; the document behind it is at <a href="/openapi.json">/openapi.json</a>,
and <a href="/docs/errors">/docs/errors</a> explains the error codes.</p></div>
<script src="/docs/assets/swagger-ui-bundle.js"></script>
<script src="/docs/assets/docs.js"></script>
</html>
`;

/** No validator badge and no deep link to elsewhere: the page talks to its own server only. */
export const DOCS_SCRIPT = `SwaggerUIBundle({
  url: '/openapi.json',
  dom_id: '#reference',
  deepLinking: true,
  docExpansion: 'list',
  defaultModelsExpandDepth: 0,
  validatorUrl: null,
  persistAuthorization: false,
});
`;

const ESCAPES: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' };

/** One section per code, under the anchor that a problem's \`type\` points to. */
export function errorsHtml(): string {
  const sections = Object.entries<ProblemKind>(errorCodes).map(
    ([code, { status, title, meaning }]) =>
      `<section id="${code}"><h2>${status} <code>${code}</code></h2><p><strong>${inlineHtml(title)}.</strong> ${inlineHtml(meaning)}</p></section>`,
  );
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Posthorn: error codes</title>
<link rel="icon" href="data:,">
<style>
  body { font: 16px/1.5 system-ui, sans-serif; max-width: 46rem; margin: 2rem auto; padding: 0 1rem; }
  h2 { font-size: 1.1rem; margin-top: 2rem; }
  :target { background: #fff3bf; }
</style>
<h1>Error codes</h1>
<p>Every refusal is an <code>application/problem+json</code> document (RFC 9457) with a stable <code>code</code>.
The <a href="/docs">reference</a> lists which operation answers which.</p>
${sections.join('\n')}
</html>
`;
}

/** The texts are Markdown that uses nothing but code spans. Escaped first, so no text can bring a tag of its own. */
function inlineHtml(text: string): string {
  return escapeHtml(text).replaceAll(/`([^`]+)`/g, '<code>$1</code>');
}

function escapeHtml(text: string): string {
  return text.replaceAll(/[&<>"]/g, (char) => ESCAPES[char] ?? char);
}
