import { useNavigate } from 'react-router';
import { $api } from '../../api/client.ts';
import { Dialog, DialogActions } from '../../components/dialog.tsx';
import { ProblemNotice } from '../../components/problem-notice.tsx';
import { useToast } from '../../components/toasts.tsx';
import type { Subscription } from './subscription-draft.ts';
import { useRefreshSubscriptions } from './use-refresh-subscriptions.ts';

export function DeleteSubscription({
  subscription,
  onClose,
}: {
  subscription: Subscription;
  onClose: () => void;
}) {
  const refresh = useRefreshSubscriptions();
  const toast = useToast();
  const navigate = useNavigate();
  const remove = $api.useMutation('delete', '/v1/subscriptions/{id}', {
    onSuccess: async () => {
      toast('The subscription is deleted');
      await navigate('/subscriptions');
      await refresh();
    },
  });
  const { size, isMore } = subscription.backlog;
  return (
    <Dialog title="Delete the subscription?" onClose={onClose}>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          remove.mutate({ params: { path: { id: subscription.id } } });
        }}
      >
        {remove.error && <ProblemNotice error={remove.error} />}
        <p className="mb-2 text-sm break-all">
          <code>{subscription.url}</code>
        </p>
        <p className="text-sm">
          Its pending deliveries are cancelled, those that wait for a retry too
          {size > 0 &&
            `; ${isMore ? 'more than ' : ''}${size.toLocaleString('en')} of them ${size === 1 ? 'is' : 'are'} due now`}
          . Events that are accepted from then on do not go there. The log of its deliveries stays, and its
          signing secrets are gone for good.
        </p>
        <DialogActions
          onClose={onClose}
          confirm="Delete subscription"
          tone="danger"
          isPending={remove.isPending}
        />
      </form>
    </Dialog>
  );
}
