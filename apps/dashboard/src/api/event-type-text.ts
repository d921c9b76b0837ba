import { useQuery } from '@tanstack/react-query';
import { prettyJson } from '../components/code-view.tsx';
import { memberText } from '../components/json-text.ts';
import { api } from './client.ts';

/** What is said about an event type, with its documents as text. */
export interface EventTypeText {
  name: string;
  description: string;
  /** JSON text, or empty for none. */
  schema: string;
  /** JSON text, or empty for none. */
  example: string;
}

/** An event type with its documents as text, so that what is edited is what was given. */
export function useEventTypeText(name: string, { enabled = true } = {}) {
  return useQuery({
    enabled,
    queryKey: ['get', '/v1/event-types/{name}', { params: { path: { name } } }],
    queryFn: async ({ signal }): Promise<EventTypeText> => {
      const { data: text, error } = await api.GET('/v1/event-types/{name}', {
        params: { path: { name } },
        parseAs: 'text',
        signal,
      });
      if (error) throw error;
      const documentOf = (member: string): string => {
        const document = memberText(text, member) ?? 'null';
        return document === 'null' ? '' : (prettyJson(document) ?? document);
      };
      const { description } = JSON.parse(text) as { description: string | null };
      return {
        name,
        description: description ?? '',
        schema: documentOf('schema'),
        example: documentOf('example'),
      };
    },
  });
}
