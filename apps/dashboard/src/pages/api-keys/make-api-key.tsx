import { useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { $api, errorsByField, type Schemas } from '../../api/client.ts';
import { CopyButton } from '../../components/copy-button.tsx';
import { Dialog, DialogActions } from '../../components/dialog.tsx';
import { Field } from '../../components/field.tsx';
import { ProblemNotice } from '../../components/problem-notice.tsx';
import { useSession } from '../../session/session.tsx';

type Scope = Schemas['ApiKey']['scopes'][number];

/** What each scope allows, for whoever picks it. */
const SCOPES = {
  'events:write': 'Emit events, and erase payloads. All that a back end needs.',
  'events:read': 'See events, their payloads, the catalogue, and why an event went where it went.',
  'subscriptions:read': 'See subscriptions and how they fare, without their secrets.',
  'subscriptions:write': 'Make, change, pause, test and delete subscriptions.',
  'secrets:read': 'Show signing secrets in full.',
  'deliveries:read': 'See deliveries with every request and answer.',
  'deliveries:write': 'Resend, cancel and replay.',
  'metrics:read': 'Read the metrics of this process, for a Prometheus that scrapes it.',
  admin: 'Everything above, and tenants, event types and API keys too.',
} as const satisfies Record<Scope, string>;

const NAMES = Object.keys(SCOPES) as Scope[];

/** Makes a key, and shows it once. */
export function MakeApiKey({ onClose }: { onClose: () => void }) {
  const queries = useQueryClient();
  const make = $api.useMutation('post', '/v1/api-keys', {
    gcTime: 0, // the key is nowhere once the dialog is closed
    onSuccess: () => queries.invalidateQueries({ queryKey: ['get', '/v1/api-keys'] }),
  });
  if (make.data) return <NewKey apiKey={make.data.key} onClose={onClose} />;
  return (
    <Dialog title="New API key" onClose={onClose}>
      <KeyForm
        error={make.error}
        isPending={make.isPending}
        onClose={onClose}
        onSubmit={(body) => make.mutate({ body })}
      />
    </Dialog>
  );
}

function KeyForm({
  error,
  isPending,
  onClose,
  onSubmit,
}: {
  error: unknown;
  isPending: boolean;
  onClose: () => void;
  onSubmit: (key: { name: string | null; scopes: Scope[]; tenant?: string }) => void;
}) {
  const session = useSession();
  const [name, setName] = useState('');
  const [tenant, setTenant] = useState(session.tenant ?? '');
  const [scopes, setScopes] = useState<ReadonlySet<Scope>>(new Set(['events:write']));
  const errors = error ? errorsByField(error) : {};
  const isAll = scopes.has('admin');
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        onSubmit({
          name: name === '' ? null : name,
          scopes: isAll ? ['admin'] : [...scopes],
          ...(tenant !== '' && { tenant }),
        });
      }}
    >
      {error !== null && error !== undefined && Object.keys(errors).length === 0 && (
        <ProblemNotice error={error} />
      )}
      <Field label="Name" hint="What uses it, to know it by later." error={errors['name']}>
        {(control) => (
          <input
            {...control}
            className="input w-full"
            value={name}
            onChange={(event) => setName(event.target.value)}
          />
        )}
      </Field>
      <fieldset className="mb-4">
        <legend className="mb-1 text-sm font-medium">What it may do</legend>
        {NAMES.map((scope) => (
          <label key={scope} className="mb-2 flex items-start gap-2 text-sm">
            <input
              type="checkbox"
              className="checkbox checkbox-sm mt-0.5"
              checked={isAll || scopes.has(scope)}
              disabled={isAll && scope !== 'admin'}
              onChange={(event) => {
                const next = new Set(scopes);
                if (event.target.checked) next.add(scope);
                else next.delete(scope);
                setScopes(next);
              }}
            />
            <span>
              <code className="text-xs">{scope}</code>
              <span className="text-quiet block">{SCOPES[scope]}</span>
            </span>
          </label>
        ))}
        {errors['scopes'] !== undefined && (
          <p role="alert" className="text-error text-sm">
            {errors['scopes']}
          </p>
        )}
      </fieldset>
      <Field
        label="Tenant"
        hint={
          session.tenant === null ? 'The only one it may touch. Empty: all of them.' : 'That of your own key.'
        }
        error={errors['tenant']}
      >
        {(control) => (
          <input
            {...control}
            className="input w-full font-mono"
            readOnly={session.tenant !== null}
            spellCheck={false}
            value={tenant}
            onChange={(event) => setTenant(event.target.value)}
          />
        )}
      </Field>
      <DialogActions
        onClose={onClose}
        confirm="Make API key"
        isPending={isPending}
        isReady={scopes.size > 0}
      />
    </form>
  );
}

function NewKey({ apiKey, onClose }: { apiKey: string; onClose: () => void }) {
  return (
    <Dialog title="The new API key" onClose={onClose}>
      <p className="mb-3 text-sm">
        This is the only time it is shown: Posthorn keeps a hash of it. Put it where your secrets are kept.
      </p>
      <div className="border-base-300 bg-base-200 flex items-center gap-2 rounded-field border p-3">
        <code className="min-w-0 flex-1 text-sm break-all">{apiKey}</code>
        <CopyButton text={apiKey} label="Copy the API key" className="btn btn-sm" />
      </div>
      <div className="mt-6 flex justify-end">
        <button type="button" className="btn btn-primary" onClick={onClose}>
          I have kept it
        </button>
      </div>
    </Dialog>
  );
}
