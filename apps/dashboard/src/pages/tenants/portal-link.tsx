import { useState } from 'react';
import { $api, errorsByField } from '../../api/client.ts';
import { CopyButton } from '../../components/copy-button.tsx';
import { Dialog, DialogActions } from '../../components/dialog.tsx';
import { Field } from '../../components/field.tsx';
import { ProblemNotice } from '../../components/problem-notice.tsx';
import { ExactTime } from '../../components/time.tsx';

const MINUTE_MS = 60_000;
const LIFETIMES = [
  { minutes: 15, label: '15 minutes' },
  { minutes: 60, label: 'an hour' },
  { minutes: 8 * 60, label: '8 hours' },
  { minutes: 24 * 60, label: 'a day' },
] as const;

/** Makes a link to the tenant's own portal, as the producer's back end does with the API. */
export function PortalLink({ tenant, onClose }: { tenant: string; onClose: () => void }) {
  const [minutes, setMinutes] = useState<number>(60);
  const [readOnly, setReadOnly] = useState(false);
  const make = $api.useMutation('post', '/v1/portal-sessions', { gcTime: 0 });
  const errors = errorsByField(make.error);
  return (
    <Dialog title={`Portal link for ${tenant}`} onClose={onClose}>
      {make.data ? (
        <MadeLink url={make.data.url} expiresAt={make.data.expiresAt} onClose={onClose} />
      ) : (
        <form
          onSubmit={(event) => {
            event.preventDefault();
            make.mutate({ body: { tenant, readOnly, ttlMs: minutes * MINUTE_MS, theme: { mode: 'auto' } } });
          }}
        >
          {make.error && Object.keys(errors).length === 0 && <ProblemNotice error={make.error} />}
          <p className="mb-4 text-sm">
            Who opens it sees the subscriptions and deliveries of this tenant, and nothing of any other.
          </p>
          <Field label="It works for" error={errors['ttlMs']}>
            {(control) => (
              <select
                {...control}
                className="select w-full"
                value={minutes}
                onChange={(event) => setMinutes(Number(event.target.value))}
              >
                {LIFETIMES.map((lifetime) => (
                  <option key={lifetime.minutes} value={lifetime.minutes}>
                    {lifetime.label}
                  </option>
                ))}
              </select>
            )}
          </Field>
          <label className="flex items-start gap-2 text-sm">
            <input
              type="checkbox"
              className="checkbox checkbox-sm mt-0.5"
              checked={readOnly}
              onChange={(event) => setReadOnly(event.target.checked)}
            />
            <span>Only to look: nothing can be changed or sent.</span>
          </label>
          <DialogActions onClose={onClose} confirm="Make link" isPending={make.isPending} />
        </form>
      )}
    </Dialog>
  );
}

function MadeLink({ url, expiresAt, onClose }: { url: string; expiresAt: string; onClose: () => void }) {
  return (
    <>
      <p className="mb-3 text-sm">
        Whoever has it can use it until <ExactTime at={expiresAt} />. It is shown this once.
      </p>
      <div className="border-base-300 bg-base-200 flex items-center gap-2 rounded-field border p-3">
        <code className="min-w-0 flex-1 text-xs break-all">{url}</code>
        <CopyButton text={url} label="Copy the link" className="btn btn-sm" />
      </div>
      <div className="mt-6 flex justify-end">
        <button type="button" className="btn btn-primary" onClick={onClose}>
          Done
        </button>
      </div>
    </>
  );
}
