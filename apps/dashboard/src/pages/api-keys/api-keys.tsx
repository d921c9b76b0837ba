import { useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { useSearchParams } from 'react-router';
import { $api, type Schemas } from '../../api/client.ts';
import { ConfirmDialog } from '../../components/dialog.tsx';
import { Empty } from '../../components/empty.tsx';
import { Loaded } from '../../components/loaded.tsx';
import { Page } from '../../components/page.tsx';
import { Pager } from '../../components/pager.tsx';
import { Time } from '../../components/time.tsx';
import { useToast } from '../../components/toasts.tsx';
import { useSeesAllTenants } from '../../session/session.tsx';
import { MakeApiKey } from './make-api-key.tsx';

type ApiKey = Schemas['ApiKey'];

/** Who may ask the API for what. */
export function Component() {
  const [params] = useSearchParams();
  const seesAllTenants = useSeesAllTenants();
  const cursor = params.get('cursor') ?? undefined;
  const keys = $api.useQuery('get', '/v1/api-keys', {
    params: { query: cursor === undefined ? {} : { cursor } },
  });
  const [open, setOpen] = useState<'make' | { revoke: ApiKey }>();
  const close = () => setOpen(undefined);
  const make = (
    <button type="button" className="btn btn-primary" onClick={() => setOpen('make')}>
      New API key
    </button>
  );
  return (
    <Page
      title="API keys"
      description="What your back end, and whoever else, proves itself with. Only a hash of each is kept."
      actions={make}
    >
      <Loaded query={keys}>
        {(page) =>
          page.data.length === 0 ? (
            <Empty title="No API keys" action={make}>
              A back end needs one to emit events.
            </Empty>
          ) : (
            <>
              <div className="table-box">
                <table className="table">
                  <thead>
                    <tr>
                      <th scope="col">Key</th>
                      <th scope="col" className="hidden md:table-cell">
                        May
                      </th>
                      {seesAllTenants && (
                        <th scope="col" className="hidden sm:table-cell">
                          Tenant
                        </th>
                      )}
                      <th scope="col" className="hidden sm:table-cell">
                        Last used
                      </th>
                      <th scope="col">
                        <span className="sr-only">Actions</span>
                      </th>
                    </tr>
                  </thead>
                  <tbody>
                    {page.data.map((key) => (
                      <tr key={key.id}>
                        <td>
                          {key.name === null ? (
                            <span className="text-quiet">without a name</span>
                          ) : (
                            <bdi className="font-medium break-words">{key.name}</bdi>
                          )}
                          <div>
                            <code className="text-quiet text-xs break-all">{key.id}</code>
                          </div>
                          <div className="mt-1 md:hidden">
                            <ScopeList scopes={key.scopes} />
                          </div>
                        </td>
                        <td className="hidden md:table-cell">
                          <ScopeList scopes={key.scopes} />
                        </td>
                        {seesAllTenants && (
                          <td className="hidden break-all sm:table-cell">
                            {key.tenant === null ? 'all' : <code className="text-xs">{key.tenant}</code>}
                          </td>
                        )}
                        <td className="hidden sm:table-cell">
                          {key.lastUsedAt === null ? (
                            <span className="text-quiet">never</span>
                          ) : (
                            <Time at={key.lastUsedAt} />
                          )}
                        </td>
                        <td className="text-right">
                          <button
                            type="button"
                            className="btn btn-ghost btn-sm text-error"
                            aria-label={`Revoke ${key.name ?? key.id}`}
                            onClick={() => setOpen({ revoke: key })}
                          >
                            Revoke
                          </button>
                        </td>
                      </tr>
                    ))}
                  </tbody>
                </table>
              </div>
              <Pager page={page} />
            </>
          )
        }
      </Loaded>
      {open === 'make' && <MakeApiKey onClose={close} />}
      {typeof open === 'object' && <RevokeApiKey apiKey={open.revoke} onClose={close} />}
    </Page>
  );
}

function ScopeList({ scopes }: { scopes: readonly string[] }) {
  return (
    <ul className="flex flex-wrap gap-1">
      {scopes.map((scope) => (
        <li key={scope} className="border-base-300 rounded-selector border px-1.5 py-0.5">
          <code className="text-xs whitespace-nowrap">{scope}</code>
        </li>
      ))}
    </ul>
  );
}

function RevokeApiKey({ apiKey, onClose }: { apiKey: ApiKey; onClose: () => void }) {
  const queries = useQueryClient();
  const toast = useToast();
  const revoke = $api.useMutation('delete', '/v1/api-keys/{id}', {
    onSuccess: async () => {
      toast('The API key is revoked');
      onClose();
      await queries.invalidateQueries({ queryKey: ['get', '/v1/api-keys'] });
    },
  });
  return (
    <ConfirmDialog
      title={`Revoke ${apiKey.name ?? 'this API key'}?`}
      confirm="Revoke API key"
      tone="danger"
      request={revoke}
      onConfirm={() => revoke.mutate({ params: { path: { id: apiKey.id } } })}
      onClose={onClose}
    >
      <p className="text-sm">
        The very next request with <code className="break-all">{apiKey.id}</code> is refused, and who signed
        in with it is signed out. That cannot be undone.
      </p>
    </ConfirmDialog>
  );
}
