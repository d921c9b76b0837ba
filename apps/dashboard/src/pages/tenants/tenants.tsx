import { useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { Link, useSearchParams } from 'react-router';
import { $api, errorsByField, type Schemas } from '../../api/client.ts';
import { ConfirmDialog, Dialog, DialogActions } from '../../components/dialog.tsx';
import { Empty } from '../../components/empty.tsx';
import { Field } from '../../components/field.tsx';
import { Loaded } from '../../components/loaded.tsx';
import { Page } from '../../components/page.tsx';
import { Pager } from '../../components/pager.tsx';
import { ProblemNotice } from '../../components/problem-notice.tsx';
import { formatDuration, Time } from '../../components/time.tsx';
import { useToast } from '../../components/toasts.tsx';
import { PortalLink } from './portal-link.tsx';

type Tenant = Schemas['Tenant'];

/** Whose events and subscriptions there are. */
export function Component() {
  const [params] = useSearchParams();
  const cursor = params.get('cursor') ?? undefined;
  const tenants = $api.useQuery('get', '/v1/tenants', {
    params: { query: cursor === undefined ? {} : { cursor } },
  });
  const [open, setOpen] = useState<{ edit: Tenant | undefined } | { remove: Tenant } | { link: Tenant }>();
  const close = () => setOpen(undefined);
  const add = (
    <button type="button" className="btn btn-primary" onClick={() => setOpen({ edit: undefined })}>
      New tenant
    </button>
  );
  return (
    <Page
      title="Tenants"
      description="Your customers. Each has subscriptions and events of its own, and sees nobody else's."
      actions={add}
    >
      <Loaded query={tenants}>
        {(page) =>
          page.data.length === 0 ? (
            <Empty title="No tenants yet" action={add}>
              One comes to be by itself with its first event or subscription.
            </Empty>
          ) : (
            <>
              <div className="table-box">
                <table className="table">
                  <thead>
                    <tr>
                      <th scope="col">Tenant</th>
                      <th scope="col" className="hidden md:table-cell">
                        Keeps payloads
                      </th>
                      <th scope="col" className="hidden sm:table-cell">
                        Since
                      </th>
                      <th scope="col">
                        <span className="sr-only">Actions</span>
                      </th>
                    </tr>
                  </thead>
                  <tbody>
                    {page.data.map((tenant) => (
                      <tr key={tenant.id}>
                        <td>
                          <div className="font-medium">{tenant.name ?? tenant.id}</div>
                          {tenant.name !== null && <code className="text-quiet text-xs">{tenant.id}</code>}
                          <div className="mt-1 flex gap-3 text-xs">
                            <Link className="link" to={`/deliveries?tenant=${encodeURIComponent(tenant.id)}`}>
                              Deliveries
                            </Link>
                            <Link
                              className="link"
                              to={`/subscriptions?tenant=${encodeURIComponent(tenant.id)}`}
                            >
                              Subscriptions
                            </Link>
                          </div>
                        </td>
                        <td className="hidden md:table-cell">
                          {tenant.payloadRetentionMs === null
                            ? 'as the deployment'
                            : formatDuration(tenant.payloadRetentionMs)}
                        </td>
                        <td className="hidden sm:table-cell">
                          <Time at={tenant.createdAt} />
                        </td>
                        <td className="text-right">
                          <button
                            type="button"
                            className="btn btn-ghost btn-sm"
                            aria-label={`Portal link for ${tenant.id}`}
                            onClick={() => setOpen({ link: tenant })}
                          >
                            Portal link
                          </button>
                          <button
                            type="button"
                            className="btn btn-ghost btn-sm"
                            aria-label={`Edit ${tenant.id}`}
                            onClick={() => setOpen({ edit: tenant })}
                          >
                            Edit
                          </button>
                          <button
                            type="button"
                            className="btn btn-ghost btn-sm text-error"
                            aria-label={`Delete ${tenant.id}`}
                            onClick={() => setOpen({ remove: tenant })}
                          >
                            Delete
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
      {open && 'edit' in open && <EditTenant tenant={open.edit} onClose={close} />}
      {open && 'remove' in open && <DeleteTenant tenant={open.remove} onClose={close} />}
      {open && 'link' in open && <PortalLink tenant={open.link.id} onClose={close} />}
    </Page>
  );
}

const HOUR_MS = 3_600_000;

function EditTenant({ tenant, onClose }: { tenant: Tenant | undefined; onClose: () => void }) {
  const queries = useQueryClient();
  const toast = useToast();
  const [id, setId] = useState(tenant?.id ?? '');
  const [name, setName] = useState(tenant?.name ?? '');
  const [hours, setHours] = useState(
    tenant?.payloadRetentionMs == null ? '' : String(tenant.payloadRetentionMs / HOUR_MS),
  );
  const put = $api.useMutation('put', '/v1/tenants/{id}', {
    onSuccess: async () => {
      await queries.invalidateQueries({ queryKey: ['get', '/v1/tenants'] });
      toast(`Tenant ${id} is saved`);
      onClose();
    },
  });
  const errors = errorsByField(put.error);
  return (
    <Dialog title={tenant ? `Tenant ${tenant.id}` : 'New tenant'} onClose={onClose}>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          put.mutate({
            params: { path: { id } },
            // The whole of what is said about it is replaced: what this form does not show stays.
            body: {
              name: name === '' ? null : name,
              metadata: tenant?.metadata ?? {},
              payloadRetentionMs: hours === '' ? null : Math.round(Number(hours) * HOUR_MS),
            },
          });
        }}
      >
        {put.error && Object.keys(errors).length === 0 && <ProblemNotice error={put.error} />}
        <Field label="Id" hint="What your back end calls it. It cannot be changed." error={errors['id']}>
          {(control) => (
            <input
              {...control}
              className="input w-full font-mono"
              required
              readOnly={tenant !== undefined}
              value={id}
              onChange={(event) => setId(event.target.value)}
            />
          )}
        </Field>
        <Field label="Name" error={errors['name']}>
          {(control) => (
            <input
              {...control}
              className="input w-full"
              value={name}
              onChange={(event) => setName(event.target.value)}
            />
          )}
        </Field>
        <Field
          label="Keep payloads for (hours)"
          hint="Empty: as long as the deployment does."
          error={errors['payloadRetentionMs']}
        >
          {(control) => (
            <input
              {...control}
              type="number"
              min="0"
              step="any"
              className="input w-full"
              value={hours}
              onChange={(event) => setHours(event.target.value)}
            />
          )}
        </Field>
        <DialogActions onClose={onClose} confirm="Save" isPending={put.isPending} />
      </form>
    </Dialog>
  );
}

function DeleteTenant({ tenant, onClose }: { tenant: Tenant; onClose: () => void }) {
  const queries = useQueryClient();
  const toast = useToast();
  const [isCascade, setIsCascade] = useState(false);
  const remove = $api.useMutation('delete', '/v1/tenants/{id}', {
    onSuccess: async () => {
      await queries.invalidateQueries(); // its subscriptions, deliveries and keys too
      toast(`Tenant ${tenant.id} is deleted`);
      onClose();
    },
  });
  return (
    <ConfirmDialog
      title={`Delete tenant ${tenant.id}?`}
      confirm="Delete tenant"
      tone="danger"
      request={remove}
      onConfirm={() =>
        remove.mutate({
          params: { path: { id: tenant.id }, query: { cascade: isCascade ? 'true' : 'false' } },
        })
      }
      onClose={onClose}
    >
      <p className="mb-3 text-sm">Its events and deliveries stay in the log until their retention ends.</p>
      <label className="flex items-start gap-2 text-sm">
        <input
          type="checkbox"
          className="checkbox checkbox-sm mt-0.5"
          checked={isCascade}
          onChange={(event) => setIsCascade(event.target.checked)}
        />
        <span>
          Delete its subscriptions too, cancel what waits for them, and revoke its API keys. Without this, a
          tenant that has any is not deleted.
        </span>
      </label>
    </ConfirmDialog>
  );
}
