import { useRef, useState, type ReactNode } from 'react';
import { Field } from '../../components/field.tsx';
import { ProblemNotice } from '../../components/problem-notice.tsx';
import { useSeesAllTenants } from '../../session/session.tsx';
import { EventTypePicker } from './event-type-picker.tsx';
import { LimitFields } from './limit-fields.tsx';
import { MatchingEvents } from './matching-events.tsx';
import { NameValueRows } from './name-value-rows.tsx';
import { RetryFields } from './retry-fields.tsx';
import {
  complaintAbout,
  complaintsOf,
  membersOf,
  patchOf,
  type Complaint,
  type Draft,
} from './subscription-draft.ts';
import { usePreview } from './use-preview.ts';

/**
 * What a subscription is, to be filled in; checked by the API while it is.
 *
 * @param editing the subscription that is changed; without it, one is made
 */
export function SubscriptionForm({
  initial,
  editing,
  confirm,
  isPending,
  refusal,
  onSubmit,
  onBack,
}: {
  initial: Draft;
  editing?: { id: string };
  confirm: string;
  isPending: boolean;
  /** What the API said to the latest try. */
  refusal: unknown;
  /** With what the API takes: a new subscription, or a patch. */
  onSubmit: (members: Record<string, unknown>) => void;
  onBack: () => void;
}) {
  const form = useRef<HTMLFormElement>(null);
  const [draft, setDraft] = useState(initial);
  // Nobody is told what is wrong with a field they have not been to.
  const [touched, setTouched] = useState<ReadonlySet<string>>(new Set());
  const [isTried, setIsTried] = useState(false);
  const seesAllTenants = useSeesAllTenants();
  const read = membersOf(draft);
  const members = editing ? patchOf(initial, draft) : read.members;
  const { preview, error, isChecking } = usePreview(editing ? { ...members, id: editing.id } : members);

  const [previewBefore, setPreviewBefore] = useState<typeof preview>();
  const isOpen = isTried || editing !== undefined;
  // What was said of event types that have been changed since, points to those that stood there before.
  const isOutdated = ({ path }: Complaint) =>
    path[0] === 'eventTypes' && isChecking && preview === previewBefore;
  const all = [
    ...read.complaints,
    ...complaintsOf(preview?.errors ?? []).filter((complaint) => !isOutdated(complaint)),
  ];
  const complaints = all.filter(({ path }) => isOpen || touched.has(path[0] ?? ''));
  const about = (member: string) => complaintAbout(complaints, member);
  const within = (member: string): Complaint[] =>
    complaints
      .filter(({ path }) => path[0] === member)
      .map(({ path, detail }) => ({ path: path.slice(1), detail }));
  const set = (member: string, part: Partial<Draft>) => {
    setDraft((now) => ({ ...now, ...part }));
    setTouched((now) => new Set(now).add(member));
  };
  const text = (
    name: 'tenant' | 'url' | 'description' | 'secret' | 'timeout',
    label: string,
    { member = name, hint, placeholder, isMono = false }: TextOptions = {},
  ) => (
    <Field label={label} hint={hint} error={about(member)}>
      {(control) => (
        <input
          {...control}
          className={`input w-full ${isMono ? 'font-mono' : ''}`}
          placeholder={placeholder}
          autoComplete="off"
          spellCheck={!isMono}
          value={draft[name]}
          onChange={(event) => set(member, { [name]: event.target.value })}
        />
      )}
    </Field>
  );
  const submit = () => {
    setIsTried(true);
    // An answer to what was typed before says nothing about this.
    if (read.complaints.length === 0 && (isChecking || preview?.valid !== false)) onSubmit(members);
    // What is wrong is shown after this; then the first of it is where to go on.
    requestAnimationFrame(() => form.current?.querySelector<HTMLElement>('[aria-invalid=true]')?.focus());
  };

  return (
    <form
      ref={form}
      noValidate
      onSubmit={(event) => {
        event.preventDefault();
        submit();
      }}
    >
      {refusal && preview?.valid !== false ? (
        <div className="mb-4">
          <ProblemNotice error={refusal} />
        </div>
      ) : null}
      <div className="grid lg:grid-cols-[minmax(0,1fr)_20rem] lg:grid-rows-[auto_1fr] lg:gap-x-6">
        <div className="min-w-0">
          <Part title="Where to, and what">
            {!editing &&
              seesAllTenants &&
              text('tenant', 'Tenant', {
                hint: 'Whose events it gets. Empty: default.',
                placeholder: 'default',
                isMono: true,
              })}
            {text('url', 'URL', {
              placeholder: 'https://example.com/webhooks',
              isMono: true,
              hint: isPlainHttp(draft.url)
                ? 'Without https anybody on the way can read what is sent. The signature only keeps it from being changed.'
                : undefined,
            })}
            <EventTypePicker
              patterns={draft.eventTypes}
              onChange={(eventTypes) => {
                setPreviewBefore(preview);
                set('eventTypes', { eventTypes });
              }}
              error={aboutEventTypes(complaints, draft.eventTypes)}
            />
            {text('description', 'Description', { hint: 'For people.' })}
          </Part>
        </div>
        <aside className="mb-5 min-w-0 lg:col-start-2 lg:row-span-2 lg:row-start-1">
          <div className="lg:sticky lg:top-6">
            <MatchingEvents preview={preview} />
          </div>
        </aside>
        <div className="min-w-0 lg:col-start-1">
          <Part title="How it is sent">
            <NameValueRows
              legend="Headers"
              noun="header"
              hint="Sent with every webhook. Values are encrypted, and not shown again."
              rows={draft.headers}
              onChange={(headers) => set('headers', { headers })}
              complaints={within('headers')}
            />
            {text('timeout', 'Timeout', {
              member: 'timeoutMs',
              hint: 'Within this, from looking up the name to the end of the answer, an attempt must succeed. 1 s to 30 s; empty: as the deployment.',
              placeholder: '5 s',
            })}
            {!editing &&
              text('secret', 'Signing secret', {
                hint: 'Only if you bring your own: whsec_ and the base64 of 24 to 64 bytes. Empty: a new one is made.',
                placeholder: 'whsec_…',
                isMono: true,
              })}
          </Part>
          <Part title="When it fails">
            <RetryFields
              retry={draft.retry}
              onChange={(retry) => set('retry', { retry })}
              complaints={complaints}
              schedule={all.some(({ path }) => path[0] === 'retry') ? undefined : preview?.schedule}
            />
          </Part>
          <Part title="Pace and order">
            <LimitFields draft={draft} set={set} complaints={complaints} />
          </Part>
          <Part title="Notes">
            <NameValueRows
              legend="Metadata"
              noun="entry"
              hint="Names and texts of your own. Never interpreted, and not sent."
              rows={draft.metadata}
              onChange={(metadata) => set('metadata', { metadata })}
              complaints={within('metadata')}
            />
          </Part>
        </div>
      </div>
      {error && (
        <div className="mb-4">
          <ProblemNotice error={error} />
        </div>
      )}
      <Elsewhere complaints={complaints} />
      <div className="flex flex-wrap items-center gap-3">
        <button type="submit" className="btn btn-primary" disabled={isPending}>
          {isPending ? 'Working …' : confirm}
        </button>
        <button type="button" className="btn" onClick={onBack}>
          Back
        </button>
        <p role="status" className="text-quiet text-sm">
          {isChecking ? 'Checking …' : preview?.valid && all.length === 0 ? 'Everything is valid.' : ''}
        </p>
      </div>
    </form>
  );
}

interface TextOptions {
  /** What the API calls it, where that is another name. */
  member?: string;
  hint?: string | undefined;
  placeholder?: string;
  isMono?: boolean;
}

function Part({ title, children }: { title: string; children: ReactNode }) {
  return (
    <section
      aria-label={title}
      className="border-base-300 bg-base-100 mb-5 rounded-box border p-4 pb-1 sm:p-5 sm:pb-2"
    >
      <h2 className="mb-4 text-lg font-semibold">{title}</h2>
      {children}
    </section>
  );
}

/** Of several event types it is said which one is wrong. */
function aboutEventTypes(complaints: Complaint[], patterns: string[]): string | undefined {
  const first = complaints.find(({ path }) => path[0] === 'eventTypes');
  const pattern = patterns[Number(first?.path[1] ?? Number.NaN)];
  return first && (pattern === undefined ? first.detail : `“${pattern}” ${first.detail}`);
}

/** What has a place of its own beside a field. */
const MEMBERS_SHOWN: ReadonlySet<string> = new Set([
  'tenant',
  'url',
  'eventTypes',
  'description',
  'headers',
  'timeoutMs',
  'secret',
  'retry',
  'maxInFlight',
  'rateLimit',
  'metadata',
]);

/** What is wrong with nothing that this form has a field for; it must not be silent. */
function Elsewhere({ complaints }: { complaints: Complaint[] }) {
  const left = complaints.filter(({ path }) => !MEMBERS_SHOWN.has(path[0] ?? ''));
  if (left.length === 0) return null;
  return (
    <ul role="alert" className="text-error mb-3 text-sm">
      {left.map(({ path, detail }) => (
        <li key={path.join('/') + detail}>
          <code>{path.join('.')}</code> {detail}
        </li>
      ))}
    </ul>
  );
}

function isPlainHttp(url: string): boolean {
  return /^\s*http:\/\//i.test(url);
}
