import { useMutation, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { useNavigate } from 'react-router';
import { api, errorsByField } from '../../api/client.ts';
import type { EventTypeText } from '../../api/event-type-text.ts';
import { Dialog, DialogActions } from '../../components/dialog.tsx';
import { Field } from '../../components/field.tsx';
import { JsonField } from '../../components/json-field.tsx';
import { jsonProblem, objectText } from '../../components/json-text.ts';
import { ProblemNotice } from '../../components/problem-notice.tsx';
import { useToast } from '../../components/toasts.tsx';
import { useMay, useSession } from '../../session/session.tsx';

/** The catalogue is for all tenants: who is bound to one only looks at it. */
export function useMayEditEventTypes(): boolean {
  const isAdmin = useMay('admin');
  return useSession().tenant === null && isAdmin;
}

const NOTHING: EventTypeText = { name: '', description: '', schema: '', example: '' };

/** Adds an event type, or replaces what is said about the given one. */
export function EditEventType({ of, onClose }: { of?: EventTypeText; onClose: () => void }) {
  const [draft, setDraft] = useState(of ?? NOTHING);
  const change = (name: keyof EventTypeText) => (text: string) =>
    setDraft((now) => ({ ...now, [name]: text }));
  const put = usePut(onClose);
  const errors = errorsByField(put.error);
  // What is wrong inside of a schema belongs beside the schema.
  const errorOf = (field: string): string | undefined => {
    const found = Object.keys(errors).find((key) => key === field || key.startsWith(`${field}.`));
    if (found === undefined) return undefined;
    return found === field ? errors[found] : `${found}: ${errors[found] ?? ''}`;
  };
  const isReady = [draft.schema, draft.example].every(
    (text) => text.trim() === '' || jsonProblem(text) === undefined,
  );
  return (
    <Dialog title={of ? `Event type ${of.name}` : 'New event type'} onClose={onClose} wide>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          if (isReady) put.mutate({ ...draft, name: draft.name.trim() });
        }}
      >
        {put.error && Object.keys(errors).length === 0 && <ProblemNotice error={put.error} />}
        <Field
          label="Name"
          hint="Words joined by dots, such as invoice.paid. It cannot be changed."
          error={errorOf('name')}
        >
          {(control) => (
            <input
              {...control}
              className="input w-full font-mono"
              required
              readOnly={of !== undefined}
              spellCheck={false}
              value={draft.name}
              onChange={(event) => change('name')(event.target.value)}
            />
          )}
        </Field>
        <Field
          label="Description"
          hint="When it happens, for whoever receives it."
          error={errorOf('description')}
        >
          {(control) => (
            <textarea
              {...control}
              dir="auto"
              className="textarea w-full"
              rows={2}
              value={draft.description}
              onChange={(event) => change('description')(event.target.value)}
            />
          )}
        </Field>
        <JsonField
          label="Example"
          hint="Of data. A test delivery sends it."
          optional
          rows={6}
          error={errorOf('example')}
          value={draft.example}
          onChange={change('example')}
        />
        <JsonField
          label="Schema"
          hint="A JSON Schema of data, for people and tools: events are not checked against it."
          optional
          rows={8}
          error={errorOf('schema')}
          value={draft.schema}
          onChange={change('schema')}
        />
        <DialogActions onClose={onClose} confirm="Save" isPending={put.isPending} isReady={isReady} />
      </form>
    </Dialog>
  );
}

function usePut(onClose: () => void) {
  const queries = useQueryClient();
  const toast = useToast();
  const navigate = useNavigate();
  return useMutation({
    mutationFn: async ({ name, description, schema, example }: EventTypeText) => {
      const { error } = await api.PUT('/v1/event-types/{name}', {
        params: { path: { name } },
        body: {},
        bodySerializer: () =>
          objectText({
            description: description === '' ? 'null' : JSON.stringify(description),
            schema: schema.trim() === '' ? 'null' : schema,
            example: example.trim() === '' ? 'null' : example,
          }),
      });
      if (error) throw error;
      return name;
    },
    onSuccess: async (name) => {
      await Promise.all([
        queries.invalidateQueries({ queryKey: ['get', '/v1/event-types'] }),
        queries.invalidateQueries({ queryKey: ['get', '/v1/event-types/{name}'] }),
      ]);
      toast(`Event type ${name} is saved`);
      onClose();
      await navigate(`/event-types/${name}`);
    },
  });
}
