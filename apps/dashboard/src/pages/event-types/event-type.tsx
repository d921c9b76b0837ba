import { useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { Link, useNavigate, useParams } from 'react-router';
import { $api } from '../../api/client.ts';
import { useEventTypeText } from '../../api/event-type-text.ts';
import { CodeBlock } from '../../components/code-view.tsx';
import { ConfirmDialog } from '../../components/dialog.tsx';
import { Loaded } from '../../components/loaded.tsx';
import { Page, Section } from '../../components/page.tsx';
import { useToast } from '../../components/toasts.tsx';
import { useMay } from '../../session/session.tsx';
import { EditEventType, useMayEditEventTypes } from './edit-event-type.tsx';
import { WhoWants } from './who-wants.tsx';

/** What is said about one event type, and who wants it. */
export function Component() {
  const { name = '' } = useParams();
  const type = useEventTypeText(name);
  const mayEdit = useMayEditEventTypes();
  const mayEmit = useMay('events:write');
  const [open, setOpen] = useState<'edit' | 'remove'>();
  const close = () => setOpen(undefined);
  const shown = type.data;
  return (
    <Page
      title={<span className="break-all">{name}</span>}
      name={name}
      back={{ to: '/event-types', label: 'Event types' }}
      description={shown?.description && <p dir="auto">{shown.description}</p>}
      actions={
        <>
          {mayEmit && (
            <Link to={`/events/new?type=${encodeURIComponent(name)}`} className="btn">
              Emit one
            </Link>
          )}
          {shown && mayEdit && (
            <>
              <button type="button" className="btn" onClick={() => setOpen('edit')}>
                Edit
              </button>
              <button type="button" className="btn text-error" onClick={() => setOpen('remove')}>
                Delete
              </button>
            </>
          )}
        </>
      }
    >
      <Loaded query={type} lines={10}>
        {(found) => (
          <>
            <Section title="Example">
              <Document
                text={found.example}
                label="example"
                nothing="None is given. A test delivery sends one of its own."
              />
            </Section>
            <Section title="Schema">
              <Document
                text={found.schema}
                label="schema"
                nothing="None is given. Events are not checked against it in any case."
              />
            </Section>
          </>
        )}
      </Loaded>
      <Section
        title="Who wants it"
        actions={
          <Link to={`/events?type=${encodeURIComponent(name)}`} className="link text-sm">
            Recent events of this type
          </Link>
        }
      >
        <WhoWants eventType={name} />
      </Section>
      {shown && open === 'edit' && <EditEventType of={shown} onClose={close} />}
      {open === 'remove' && <DeleteEventType name={name} onClose={close} />}
    </Page>
  );
}

function Document({ text, label, nothing }: { text: string; label: string; nothing: string }) {
  if (text === '') return <p className="text-quiet text-sm">{nothing}</p>;
  return <CodeBlock text={text} label={label} />;
}

function DeleteEventType({ name, onClose }: { name: string; onClose: () => void }) {
  const queries = useQueryClient();
  const navigate = useNavigate();
  const toast = useToast();
  const remove = $api.useMutation('delete', '/v1/event-types/{name}', {
    onSuccess: async () => {
      toast(`Event type ${name} is deleted`);
      onClose();
      await navigate('/event-types');
      await queries.invalidateQueries({ queryKey: ['get', '/v1/event-types'] });
    },
  });
  return (
    <ConfirmDialog
      title={`Delete event type ${name}?`}
      confirm="Delete event type"
      tone="danger"
      request={remove}
      onConfirm={() => remove.mutate({ params: { path: { name } } })}
      onClose={onClose}
    >
      <p className="text-sm">
        Its description, schema and example are deleted. Events and subscriptions of this type are left alone.
      </p>
    </ConfirmDialog>
  );
}
