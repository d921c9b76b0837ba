import { useMutation, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { Link } from 'react-router';
import { api, type Schemas } from '../api/client.ts';
import { useMay, useSession } from '../session/session.tsx';
import { ConfirmDialog } from './dialog.tsx';
import { ReplayDialog, type ReplayFilter } from './replay-dialog.tsx';
import { useToast } from './toasts.tsx';

type Explanation = Schemas['Explanation'];
export type ExplanationAction = Explanation['actions'][number];
type Code = ExplanationAction['code'];
type Scope = Parameters<typeof useMay>[0];

interface ActionForm {
  /** What its button or its link says. */
  label: string;
  /** What whoever presses it needs. */
  scope: Scope;
  tone?: 'danger';
  /** Does it, and resolves with what there is to say then. Without it, it is done on a page. */
  perform?: (id: string) => Promise<string>;
}

const resend: ActionForm = {
  label: 'Resend',
  scope: 'deliveries:write',
  perform: async (id) => {
    answered(await api.POST('/v1/deliveries/{id}/resend', { params: { path: { id } } }));
    return 'It is attempted once more now';
  },
};

const cancel: ActionForm = {
  label: 'Cancel delivery',
  scope: 'deliveries:write',
  tone: 'danger',
  perform: async (id) => {
    answered(await api.POST('/v1/deliveries/{id}/cancel', { params: { path: { id } } }));
    return 'The delivery is cancelled';
  },
};

const ACTIONS: Readonly<Record<Code, ActionForm>> = {
  show_delivery: { label: 'Show delivery', scope: 'deliveries:read' },
  resend,
  cancel,
  show_blocking_delivery: { label: 'Show the head', scope: 'deliveries:read' },
  resend_blocking_delivery: { ...resend, label: 'Resend the head' },
  cancel_blocking_delivery: { ...cancel, label: 'Cancel the head' },
  resume: {
    label: 'Resume subscription',
    scope: 'subscriptions:write',
    perform: async (id) => {
      answered(await api.POST('/v1/subscriptions/{id}/resume', { params: { path: { id } } }));
      return 'The subscription goes on';
    },
  },
  change_subscription: { label: 'Change subscription', scope: 'subscriptions:write' },
  create_subscription: { label: 'New subscription', scope: 'subscriptions:write' },
  test: {
    label: 'Send a test',
    scope: 'subscriptions:write',
    perform: async (id) => {
      const tested = answered(await api.POST('/v1/subscriptions/{id}/test', { params: { path: { id } } }));
      return `The test has ${tested.state}`;
    },
  },
  replay: { label: 'Replay', scope: 'deliveries:write' },
  emit_again: { label: 'Emit again', scope: 'events:write' },
};

function answered<Data>({ data, error }: { data?: Data; error?: unknown }): Data {
  if (error !== undefined || data === undefined) throw error;
  return data;
}

/**
 * Why an event did or did not go to a subscription, and what can be done about it.
 *
 * @param here the path of the page that shows it: an action that would only lead there is left out
 */
export function ExplanationView({ explanation, here }: { explanation: Explanation; here?: string }) {
  return (
    <div className="border-base-300 bg-base-100 rounded-box border p-4">
      <p className="break-words">{explanation.words}</p>
      <p className="text-quiet mt-1 text-xs">
        <code>{explanation.code}</code>
      </p>
      <ExplanationActions
        actions={explanation.actions.filter((action) => here === undefined || pageOf(action) !== here)}
      />
    </div>
  );
}

/**
 * What can be done, each with its reason beside it; what who is signed in may not do is told without a button, and not
 * at all to a visitor of a portal.
 */
export function ExplanationActions({ actions: all }: { actions: readonly ExplanationAction[] }) {
  const [asked, setAsked] = useState<ExplanationAction>();
  const { kind, scopes } = useSession();
  const actions = kind === 'portal' ? all.filter(({ code }) => scopes.includes(ACTIONS[code].scope)) : all;
  if (actions.length === 0) return null;
  const close = () => setAsked(undefined);
  return (
    <>
      <ul className="mt-3 flex flex-col gap-2">
        {actions.map((action) => (
          <li key={action.code} className="flex flex-wrap items-center gap-x-3 gap-y-1">
            <ActionControl action={action} onAsk={() => setAsked(action)} />
            <span className="text-quiet min-w-48 flex-1 text-sm">{action.words}</span>
          </li>
        ))}
      </ul>
      {asked?.code === 'replay' && <ReplayDialog filter={filterOf(asked)} onClose={close} />}
      {asked && asked.code !== 'replay' && <ConfirmAction action={asked} onClose={close} />}
    </>
  );
}

function ActionControl({ action, onAsk }: { action: ExplanationAction; onAsk: () => void }) {
  const { label, scope, tone } = ACTIONS[action.code];
  const page = pageOf(action);
  if (!useMay(scope)) return null;
  if (page !== undefined) {
    return (
      <Link to={page} className="btn btn-sm">
        {label}
      </Link>
    );
  }
  return (
    <button type="button" className={`btn btn-sm ${tone === 'danger' ? 'text-error' : ''}`} onClick={onAsk}>
      {label}
    </button>
  );
}

/** The page where it is shown or done, if it takes more than the press of a button. */
function pageOf({ code, method, path }: ExplanationAction): string | undefined {
  if (code === 'create_subscription') return '/subscriptions/new';
  if (code === 'emit_again') return '/events/new';
  if (method === 'POST') return undefined;
  return path.replace(/^\/v1/, '') + (code === 'change_subscription' ? '/edit' : '');
}

function filterOf({ body }: ExplanationAction): ReplayFilter {
  return body?.['filter'] ?? {};
}

/** Asks once more, then does it, and says what came of it. */
export function ConfirmAction({ action, onClose }: { action: ExplanationAction; onClose: () => void }) {
  const queries = useQueryClient();
  const toast = useToast();
  const { label, tone = 'primary', perform } = ACTIONS[action.code];
  const asked = useMutation({
    mutationFn: () => perform?.(action.path.split('/')[3] ?? '') ?? Promise.reject(new Error(action.code)),
    onSuccess: async (answer) => {
      toast(answer);
      onClose();
      await queries.invalidateQueries();
    },
  });
  return (
    <ConfirmDialog
      title={`${label}?`}
      confirm={label}
      tone={tone}
      request={asked}
      onConfirm={() => asked.mutate()}
      onClose={onClose}
    >
      <p className="mt-2 text-sm">{action.words}</p>
      <p className="text-quiet mt-2 text-xs break-all">
        <code>
          {action.method} {action.path}
        </code>
      </p>
    </ConfirmDialog>
  );
}
