import { describe, expect, it } from '@jest/globals';
import {
  complaintAbout,
  complaintsOf,
  draftOf,
  EMPTY_DRAFT,
  membersOf,
  patchOf,
  type Subscription,
} from './subscription-draft.ts';

const stored = {
  tenant: 'acme',
  url: 'https://example.com/',
  description: 'Books invoices',
  eventTypes: ['invoice.*'],
  headers: { 'x-one': '[redacted]', 'x-two': '[redacted]' },
  metadata: { team: 'billing', __proto__x: 'y' },
  timeoutMs: 5_000,
  retry: { initialMs: 5_000, factor: 3, maxMs: 43_200_000, maxAttempts: 15, jitter: 0.2 },
  maxInFlight: 100,
  rateLimit: { count: 10, perMs: 60_000 },
  ordering: 'fifo',
  onExhausted: 'skip',
} as Partial<Subscription> as Subscription;

describe('what a form says', () => {
  it('leaves out what is empty', () => {
    expect(membersOf(EMPTY_DRAFT)).toEqual({ members: {}, complaints: [] });
  });

  it('is what the subscription has, when nothing was changed, in every kind of policy', () => {
    for (const isDefault of [true, false]) {
      const draft = draftOf(stored, isDefault);
      expect(membersOf(draft).complaints).toEqual([]);
      expect(patchOf(draft, draft)).toEqual({});
    }
    const { members } = membersOf(draftOf(stored, false));
    expect(members).toMatchObject({ retry: stored.retry, rateLimit: stored.rateLimit, timeoutMs: 5_000 });
    const listed = { ...stored, retry: { delaysMs: [0, 90_000], jitter: 0 } };
    expect(membersOf(draftOf(listed, false)).members).toMatchObject({ retry: listed.retry });
  });

  it('has the jitter in whole per cent, and not what is left over of multiplying it', () => {
    const { retry } = draftOf({ ...stored, retry: { ...stored.retry, jitter: 0.07 } }, false);
    expect(retry.jitter).toBe('7');
  });

  it('complains of what it cannot read, and does not make something of it', () => {
    const { members, complaints } = membersOf({
      ...EMPTY_DRAFT,
      timeout: 'soon',
      maxInFlight: 'many',
      rateCount: '10',
      ratePer: '',
      retry: { ...EMPTY_DRAFT.retry, kind: 'list', delays: '5 s, later' },
      headers: [
        { key: 0, name: 'x-a', value: '1', isStored: false },
        { key: 1, name: 'x-a', value: '2', isStored: false },
        { key: 2, name: '', value: 'nameless', isStored: false },
        { key: 3, name: '', value: '', isStored: false },
      ],
    });
    expect(members).toEqual({ headers: expect.anything() });
    expect(complaints.map(({ path }) => path.join('.'))).toEqual([
      'timeoutMs',
      'maxInFlight',
      'rateLimit.perMs',
      'retry.delaysMs',
      'headers.x-a',
      'headers',
    ]);
  });
});

describe('a change', () => {
  const before = draftOf(stored, false);

  it('names what was changed, with null for what goes back to its default', () => {
    expect(
      patchOf(before, {
        ...before,
        description: '',
        timeout: '',
        rateCount: '',
        ordering: 'none',
        retry: { ...before.retry, kind: 'default' },
        tenant: 'other',
      }),
    ).toEqual({
      description: null,
      timeoutMs: null,
      rateLimit: null,
      ordering: null,
      onExhausted: null,
      retry: null,
    });
  });

  it('lets the API say that a URL and event types cannot be left out', () => {
    expect(patchOf(before, { ...before, url: ' ', eventTypes: [] })).toEqual({ url: '', eventTypes: [] });
  });

  it('keeps stored header values, replaces and removes by name', () => {
    const [one, two] = before.headers;
    const headers = [
      { ...one!, value: 'new', isStored: false },
      { key: 9, name: '__proto__', value: 'odd', isStored: false },
    ];
    expect(two?.name).toBe('x-two');
    const patch = JSON.stringify(patchOf(before, { ...before, headers }));
    expect(patch).toBe('{"headers":{"x-two":null,"x-one":"new","__proto__":"odd"}}');
  });
});

describe('a complaint', () => {
  it('is found by the names in its pointer, escaped ones too', () => {
    const complaints = complaintsOf([
      { pointer: '#/headers/x~1y%20z', detail: 'is not a header name' },
      { pointer: '#/retry/maxMs', detail: 'is too long' },
    ]);
    expect(complaintAbout(complaints, 'headers', 'x/y z')).toBe('is not a header name');
    expect(complaintAbout(complaints, 'retry')).toBe('is too long');
    expect(complaintAbout(complaints, 'url')).toBeUndefined();
  });
});
