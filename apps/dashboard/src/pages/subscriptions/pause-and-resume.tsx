import { useState } from 'react';
import { $api } from '../../api/client.ts';
import { ConfirmDialog } from '../../components/dialog.tsx';
import { useToast } from '../../components/toasts.tsx';
import { waitingInWords } from './state-in-words.ts';
import type { Subscription } from './subscription-draft.ts';
import { useRefreshSubscriptions } from './use-refresh-subscriptions.ts';

/** Stops a subscription, or lets it go on; says before what becomes of what waits. */
export function PauseOrResume({ subscription }: { subscription: Subscription }) {
  const [isOpen, setIsOpen] = useState<'pause' | 'resume'>();
  const canResume = subscription.state === 'paused' || subscription.state === 'disabled';
  const isHeld = subscription.state === 'held' || subscription.heldUntil !== null;
  return (
    <>
      {!canResume && (
        <button type="button" className="btn" onClick={() => setIsOpen('pause')}>
          Pause
        </button>
      )}
      {(canResume || isHeld) && (
        <button type="button" className="btn" onClick={() => setIsOpen('resume')}>
          Resume
        </button>
      )}
      {isOpen && <Confirm action={isOpen} subscription={subscription} onClose={() => setIsOpen(undefined)} />}
    </>
  );
}

function Confirm({
  action,
  subscription,
  onClose,
}: {
  action: 'pause' | 'resume';
  subscription: Subscription;
  onClose: () => void;
}) {
  const refresh = useRefreshSubscriptions();
  const toast = useToast();
  const change = $api.useMutation('post', `/v1/subscriptions/{id}/${action}`, {
    onSuccess: async () => {
      await refresh();
      toast(action === 'pause' ? 'The subscription is paused' : 'The subscription is resumed');
      onClose();
    },
  });
  return (
    <ConfirmDialog
      title={action === 'pause' ? 'Pause the subscription?' : 'Resume the subscription?'}
      confirm={action === 'pause' ? 'Pause' : 'Resume'}
      request={change}
      onConfirm={() => change.mutate({ params: { path: { id: subscription.id } } })}
      onClose={onClose}
    >
      <p className="text-sm">{action === 'pause' ? pausing(subscription) : resuming(subscription)}</p>
    </ConfirmDialog>
  );
}

function pausing(subscription: Subscription): string {
  const { size } = subscription.backlog;
  const first = 'Events go on being accepted, and nothing is sent any more.';
  const then = 'All that waits is sent when you resume, gently at first.';
  return size === 0 ? `${first} ${then}` : `${first} ${capital(waitingInWords(subscription))} now. ${then}`;
}

function resuming(subscription: Subscription): string {
  const gently = 'gently at first: ten at once, and more every second while the receiver takes them';
  const { size } = subscription.backlog;
  const what =
    size === 0
      ? 'No delivery waits. What comes is sent at once again'
      : `${capital(waitingInWords(subscription))} and ${size === 1 ? 'is' : 'are'} sent now, ${gently}`;
  return `${what}. Failures so far are forgotten.`;
}

function capital(sentence: string): string {
  return sentence.charAt(0).toUpperCase() + sentence.slice(1);
}
