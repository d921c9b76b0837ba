import { useState } from 'react';
import { Field } from '../../components/field.tsx';

/** A body: as text, as base64 of its bytes, or as the bytes of a file. */
export type Body = { kind: 'text'; text: string } | { kind: 'base64'; base64: string; file?: string };

const KINDS = { text: 'Text', base64: 'Base64', file: 'File' } as const;
type Kind = keyof typeof KINDS;

/** Takes a body without changing a byte of it, and says where the browser would. */
export function BodyInput({
  value,
  error,
  onChange,
}: {
  value: Body;
  error: string | undefined;
  onChange: (body: Body) => void;
}) {
  const [kind, setKind] = useState<Kind>('text');
  const [hadCrLf, setHadCrLf] = useState(false);
  const choose = (chosen: Kind) => {
    setKind(chosen);
    setHadCrLf(false);
    onChange(chosen === 'text' ? { kind: 'text', text: '' } : { kind: 'base64', base64: '' });
  };
  return (
    <>
      <div className="mb-2 flex gap-1" role="group" aria-label="How the body is given">
        {(Object.keys(KINDS) as Kind[]).map((one) => (
          <button
            key={one}
            type="button"
            aria-pressed={one === kind}
            className={`btn btn-xs ${one === kind ? 'btn-active' : 'btn-ghost'}`}
            onClick={() => one !== kind && choose(one)}
          >
            {KINDS[one]}
          </button>
        ))}
      </div>
      {kind === 'file' ? (
        <Field
          label="Body"
          hint={
            value.kind === 'base64' && value.file !== undefined
              ? `Read: ${value.file}`
              : 'Its bytes just as they are.'
          }
          error={error}
        >
          {(control) => (
            <input
              {...control}
              type="file"
              className="file-input w-full"
              onChange={(event) => {
                const file = event.target.files?.[0];
                if (!file) return;
                void base64Of(file).then((base64) =>
                  onChange({ kind: 'base64', base64, file: `${file.name}, ${file.size} bytes` }),
                );
              }}
            />
          )}
        </Field>
      ) : (
        <Field
          label="Body"
          hint={
            kind === 'text'
              ? 'Every byte counts, also a line break at the end. Browsers turn CR LF into LF when text is pasted: give base64 or a file if yours has any.'
              : 'Of the raw bytes, such as: base64 -w0 body.json'
          }
          error={error}
        >
          {(control) => (
            <textarea
              {...control}
              className="textarea w-full font-mono text-xs leading-relaxed break-all"
              rows={6}
              spellCheck={false}
              value={value.kind === 'text' ? value.text : value.base64}
              onPaste={(event) => setHadCrLf(event.clipboardData.getData('text').includes('\r\n'))}
              onChange={(event) =>
                onChange(
                  kind === 'text'
                    ? { kind, text: event.target.value }
                    : { kind, base64: event.target.value.replaceAll(/\s/g, '') },
                )
              }
            />
          )}
        </Field>
      )}
      {hadCrLf && kind === 'text' && (
        <p role="alert" className="text-warning mb-4 text-sm">
          What you pasted has line breaks of CR LF, and the browser made LF of them. These are other bytes:
          give the body as base64 or as a file.
        </p>
      )}
    </>
  );
}

async function base64Of(file: File): Promise<string> {
  const bytes = new Uint8Array(await file.arrayBuffer());
  let binary = '';
  for (const byte of bytes) binary += String.fromCharCode(byte);
  return btoa(binary);
}
