import { useNavigate } from 'react-router';
import { $api } from '../../api/client.ts';
import { ConfirmDialog } from '../../components/dialog.tsx';
import { formatCount } from '../../components/figures.ts';
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
    <ConfirmDialog
      title="Delete the subscription?"
      confirm="Delete subscription"
      tone="danger"
      request={remove}
      onConfirm={() => remove.mutate({ params: { path: { id: subscription.id } } })}
      onClose={onClose}
    >
      <p className="mb-2 text-sm break-all">
        <code>{subscription.url}</code>
      </p>
      <p className="text-sm">
        Its pending deliveries are cancelled, those that wait for a retry too
        {size > 0 &&
          `; ${isMore ? 'more than ' : ''}${formatCount(size)} of them ${size === 1 ? 'is' : 'are'} due now`}
        . Events that are accepted from then on do not go there. The log of its deliveries stays, and its
        signing secrets are gone for good.
      </p>
    </ConfirmDialog>
  );
}
