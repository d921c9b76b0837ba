import { useMutation } from '@tanstack/react-query';
import { useState } from 'react';
import { $api, api, errorsByField, type Schemas } from '../../api/client.ts';
import { CopyButton } from '../../components/copy-button.tsx';
import { Dialog, DialogActions } from '../../components/dialog.tsx';
import { Field } from '../../components/field.tsx';
import { ProblemNotice } from '../../components/problem-notice.tsx';
import { formatDuration, Time, useNow } from '../../components/time.tsx';
import { useToast } from '../../components/toasts.tsx';
import { useMay } from '../../session/session.tsx';

const HOUR_MS = 3_600_000;

/** How long the older secrets may go on signing. */
const OVERLAPS = [
  { label: 'not at all', ms: 0 },
  { label: '1 hour', ms: HOUR_MS },
  { label: '1 day', ms: 24 * HOUR_MS },
  { label: '3 days', ms: 72 * HOUR_MS },
  { label: '7 days', ms: 168 * HOUR_MS },
] as const;

/** One that signs now; `secret` only for who has been shown it. */
type Live = Schemas['RotatedSecret']['secrets'][number] & { secret?: string };

/** What deliveries are signed with: shown on request only, replaced with an overlap. */
export function SigningSecrets({ subscriptionId }: { subscriptionId: string }) {
  const [shown, setShown] = useState<Live[]>();
  const [isRotating, setIsRotating] = useState(false);
  const mayReveal = useMay('secrets:read');
  const mayRotate = useMay('subscriptions:write');
  // Asked for by hand each time, and kept nowhere but on this page.
  const reveal = useMutation({
    mutationFn: async () => {
      const { data, error } = await api.GET('/v1/subscriptions/{id}/secret', {
        params: { path: { id: subscriptionId } },
      });
      if (error) throw error;
      return data;
    },
    gcTime: 0,
    onSuccess: ({ secrets }) => setShown(secrets),
  });
  return (
    <div>
      {shown ? (
        <SecretList secrets={shown} />
      ) : (
        <p className="text-quiet text-sm">
          <span aria-hidden className="font-mono">
            whsec_••••••••••••••••
          </span>{' '}
          {mayReveal ? 'Hidden until you ask for it; who asks is logged.' : 'You may not see it.'}
        </p>
      )}
      {reveal.error && !shown ? <ProblemNotice error={reveal.error} /> : null}
      <div className="mt-3 flex flex-wrap gap-2">
        {mayReveal && !shown && (
          <button
            type="button"
            className="btn btn-sm"
            disabled={reveal.isPending}
            onClick={() => reveal.mutate()}
          >
            Reveal
          </button>
        )}
        {shown && (
          <button type="button" className="btn btn-sm" onClick={() => setShown(undefined)}>
            Hide
          </button>
        )}
        {mayRotate && (
          <button type="button" className="btn btn-sm" onClick={() => setIsRotating(true)}>
            Rotate
          </button>
        )}
      </div>
      {isRotating && (
        <RotateSecret
          subscriptionId={subscriptionId}
          onClose={() => setIsRotating(false)}
          onRotated={({ secret, secrets }) => {
            setShown((before) =>
              secrets.map((live, index) =>
                index === 0 ? { ...live, secret } : { ...before?.find(({ id }) => id === live.id), ...live },
              ),
            );
            setIsRotating(false);
          }}
        />
      )}
    </div>
  );
}

function SecretList({ secrets }: { secrets: Live[] }) {
  const nowMs = useNow();
  const live = secrets.filter(({ expiresAt }) => expiresAt === null || Date.parse(expiresAt) > nowMs);
  return (
    <ul aria-label="Signing secrets">
      {live.map(({ id, createdAt, expiresAt, secret }) => (
        <li key={id} className="border-base-300 border-b py-2 last:border-b-0">
          <div className="flex flex-wrap items-center gap-x-2">
            {secret === undefined ? (
              <code className="text-quiet text-sm">whsec_••••••••••••••••</code>
            ) : (
              <>
                <code className="text-sm break-all">{secret}</code>
                <CopyButton text={secret} label="Copy signing secret" />
              </>
            )}
          </div>
          <p className="text-quiet text-xs">
            made <Time at={createdAt} />
            {expiresAt === null
              ? '; signs until it is rotated'
              : `; signs for ${formatDuration(Date.parse(expiresAt) - nowMs)} more`}
          </p>
        </li>
      ))}
    </ul>
  );
}

function RotateSecret({
  subscriptionId,
  onClose,
  onRotated,
}: {
  subscriptionId: string;
  onClose: () => void;
  onRotated: (rotated: Schemas['RotatedSecret']) => void;
}) {
  const toast = useToast();
  const [overlapMs, setOverlapMs] = useState(24 * HOUR_MS);
  const [own, setOwn] = useState('');
  const rotate = $api.useMutation('post', '/v1/subscriptions/{id}/secret/rotate', {
    onSuccess: (rotated) => {
      toast('The signing secret is rotated');
      onRotated(rotated);
    },
  });
  const errors = errorsByField(rotate.error);
  return (
    <Dialog title="Rotate the signing secret?" onClose={onClose}>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          rotate.mutate({
            params: { path: { id: subscriptionId } },
            body: { overlapMs, ...(own.trim() !== '' && { secret: own.trim() }) },
          });
        }}
      >
        {rotate.error && Object.keys(errors).length === 0 && (
          <div className="mb-3">
            <ProblemNotice error={rotate.error} />
          </div>
        )}
        <p className="mb-4 text-sm">
          From now on every attempt is signed with the new secret, and with the older ones until the overlap
          ends. Give the receiver the new one before that.
        </p>
        <Field
          label="Older secrets go on signing for"
          hint={
            overlapMs === 0
              ? 'A receiver that still has the old secret refuses everything from now on.'
              : 'A receiver takes a webhook when one of its signatures is right.'
          }
          error={errors['overlapMs']}
        >
          {(control) => (
            <select
              {...control}
              className="select w-full"
              value={overlapMs}
              onChange={(event) => setOverlapMs(Number(event.target.value))}
            >
              {OVERLAPS.map(({ label, ms }) => (
                <option key={ms} value={ms}>
                  {label}
                </option>
              ))}
            </select>
          )}
        </Field>
        <Field label="Your own secret" hint="Empty: a new one is made." error={errors['secret']}>
          {(control) => (
            <input
              {...control}
              className="input w-full font-mono"
              placeholder="whsec_…"
              autoComplete="off"
              spellCheck={false}
              value={own}
              onChange={(event) => setOwn(event.target.value)}
            />
          )}
        </Field>
        <DialogActions onClose={onClose} confirm="Rotate" isPending={rotate.isPending} />
      </form>
    </Dialog>
  );
}
