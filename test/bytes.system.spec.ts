import { createRequire } from 'node:module';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import {
  startPosthorn,
  startReceiver,
  verifyWebhook,
  type EmittedShown,
  type Posthorn,
  type ReceivedRequest,
  type Receiver,
  type SubscriptionShown,
} from '@posthorn/testing';

const githubWebhooks = createRequire(import.meta.url)('@octokit/webhooks-examples') as {
  name: string;
  examples: { action?: string }[];
}[];

/** An event type and the text of a JSON value. */
interface Sample {
  type: string;
  data: string;
}

/** Far below the 5 MiB and 500 events of one request. */
const BATCH = 60;
/** Requests a client makes at once. */
const CLIENTS = 8;
const ARRIVED_WITHIN_MS = 60_000;
/** After that the worker would be forgiven: what it did not send is attempted again. */
const BEFORE_A_LEASE_ENDS_MS = 15_000;

/** Every real payload GitHub gives as an example, as `print` writes it. */
function githubSamples(print: (payload: unknown) => string): Sample[] {
  return githubWebhooks.flatMap(({ name, examples }) =>
    examples.map((payload) => ({
      type: payload.action === undefined ? name : `${name}.${payload.action}`,
      data: print(payload),
    })),
  );
}

const compact = (payload: unknown): string => JSON.stringify(payload);
const pretty = (payload: unknown): string => JSON.stringify(payload, null, 2);

/** What a parser and a printer between producer and subscriber would change, drop, or choke on. */
const HARD: Record<string, string> = {
  'a number with trailing zeros': '100.00',
  'an integer beyond 2^53': '12345678901234567890',
  'a number beyond the range of a double': '1E400',
  'a negative zero': '-0',
  'a number in scientific notation': '1e-7',
  'more decimals than a double has': '0.1000000000000000055511151231257827',
  'members in an order that JavaScript would change': '{"b":1,"1":2}',
  'an escape that need not be one': '"\\u00e9"',
  'the same character as itself': '"é"',
  'escaped solidus and DEL': '"\\/\\u007f\u007f"',
  'an escaped NUL': '"a\\u0000b"',
  'every short escape': '"\\"\\\\\\/\\b\\f\\n\\r\\t"',
  'an escaped lone high surrogate': '"\\ud800"',
  'an escaped lone low surrogate in a name': '{"\\udc00x":true}',
  'an escaped surrogate pair': '"\\ud83d\\ude00"',
  'raw astral characters': '"😀𝔘𐍈"',
  'line separators and a BOM inside a string': '"\u2028\u2029\ufeff"',
  'composed and decomposed accents': '["\u00e9","e\u0301"]',
  'a member named __proto__': '{"__proto__":{"polluted":true},"constructor":{"prototype":null}}',
  'names that an envelope has': '{"type":"x","timestamp":"y","data":{"data":1}}',
  'a member given twice': '{"a":1,"a":2,"\\u0061":3}',
  'white space of every kind': '{ "a" :\t[ 1 ,\r\n 2 ]\n,\n\n"b" : { } }',
  'brackets and quotes inside strings': '{"a":"}]\\"{[","b":"\\\\"}',
  'an empty object': '{}',
  'an empty string': '""',
  null: 'null',
  false: 'false',
  zero: '0',
  '10,000 arrays in each other': `${'['.repeat(10_000)}${']'.repeat(10_000)}`,
  '10,000 objects in each other': `${'{"a":'.repeat(10_000)}1${'}'.repeat(10_000)}`,
  'a string of the largest size that is taken': `"${'x'.repeat(262_142)}"`,
};

/** The same envelope, written differently; `data` in all of them is `[1,  2]`. */
const ENVELOPES: Record<string, string> = {
  'data first': '{"data":[1,  2],"type":"t"}',
  'data between': '{"tenant":"default","data":[1,  2],"type":"t"}',
  'white space around everything': ' \r\n\t{ "type" : "t" ,\n "data"\t: \n[1,  2]\r\n } \n',
  'an escaped name': '{"type":"t","d\\u0061ta":[1,  2]}',
  'an escaped value': '{"type":"\\u0074","data":[1,  2]}',
};

interface Refused {
  body: Buffer;
  status: number;
  code: string;
  pointer?: string;
}

const inData = (bytes: readonly number[]): Buffer =>
  Buffer.concat([Buffer.from('{"type":"t","data":"'), Buffer.from(bytes), Buffer.from('"}')]);
const MALFORMED = { status: 400, code: 'malformed_json' };
const INVALID = { status: 422, code: 'validation_failed' };

const REFUSED: Record<string, Refused> = {
  'a raw lone surrogate': { body: inData([0xed, 0xa0, 0x80]), ...MALFORMED },
  'an overlong encoding of "/"': { body: inData([0xc0, 0xaf]), ...MALFORMED },
  'a byte beyond Unicode': { body: inData([0xf5, 0x80, 0x80, 0x80]), ...MALFORMED },
  'a character that is cut off': { body: inData([0xf0, 0x9f, 0x98]), ...MALFORMED },
  'Latin-1': { body: inData([0xe9]), ...MALFORMED },
  'a byte order mark': { body: Buffer.from('\ufeff{"type":"t","data":1}'), ...MALFORMED },
  'UTF-16': { body: Buffer.from('{"type":"t","data":1}', 'utf16le'), ...MALFORMED },
  'a raw NUL': { body: inData([0x00]), ...MALFORMED },
  'a raw line feed in a string': { body: inData([0x0a]), ...MALFORMED },
  'a number with a leading zero': { body: Buffer.from('{"type":"t","data":007}'), ...MALFORMED },
  NaN: { body: Buffer.from('{"type":"t","data":NaN}'), ...MALFORMED },
  'a trailing comma': { body: Buffer.from('{"type":"t","data":[1,]}'), ...MALFORMED },
  'an unclosed array 10,000 deep': {
    body: Buffer.from(`{"type":"t","data":${'['.repeat(10_000)}`),
    ...MALFORMED,
  },
  'text behind the end': { body: Buffer.from('{"type":"t","data":1} x'), ...MALFORMED },
  'data given twice': { body: Buffer.from('{"type":"t","data":1,"data":2}'), ...INVALID, pointer: '#/data' },
  'data given twice, once escaped': {
    body: Buffer.from('{"type":"t","data":1,"d\\u0061ta":2}'),
    ...INVALID,
    pointer: '#/data',
  },
  'no data': { body: Buffer.from('{"type":"t"}'), ...INVALID, pointer: '#/data' },
  'an unknown member': { body: Buffer.from('{"type":"t","data":1,"x":1}'), ...INVALID, pointer: '#/x' },
  'a member named __proto__ in the envelope': {
    body: Buffer.from('{"type":"t","data":1,"__proto__":{"tenant":"other"}}'),
    ...INVALID,
    pointer: '#/__proto__',
  },
  'an escaped lone surrogate in the type': {
    body: Buffer.from('{"type":"\\ud800","data":1}'),
    ...INVALID,
    pointer: '#/type',
  },
  'data of one byte too many': {
    body: Buffer.from(`{"type":"t","data":"${'x'.repeat(262_143)}"}`),
    status: 413,
    code: 'payload_too_large',
    pointer: '#/data',
  },
};

const envelopeOf = ({ type, data }: Sample): string => `{"type":${JSON.stringify(type)},"data":${data}}`;

const backends = process.env['TEST_WITHOUT_REDIS']
  ? (['postgres'] as const)
  : (['redis', 'postgres'] as const);

describe.each(backends)('with hints through %s', (backend) => {
  let posthorn: Posthorn;
  let receiver: Receiver;
  let subscription: SubscriptionShown;

  beforeAll(async () => {
    receiver = await startReceiver();
    posthorn = await startPosthorn({ backend });
    subscription = await posthorn.subscribe(receiver.url);
  }, 120_000);
  afterAll(async () => {
    await posthorn.stop();
    await receiver.close();
  }, 30_000);

  /** The request that each event arrived in; there must be exactly one. */
  async function arrivals(
    events: readonly EmittedShown[],
    withinMs = ARRIVED_WITHIN_MS,
  ): Promise<ReceivedRequest[]> {
    const byId = new Map<string, ReceivedRequest[]>();
    let seen = 0;
    await receiver.waitFor((requests) => {
      for (; seen < requests.length; seen += 1) {
        const request = requests[seen]!;
        const id = String(request.headers['webhook-id']);
        byId.set(id, [...(byId.get(id) ?? []), request]);
      }
      return events.every(({ id }) => byId.has(id));
    }, withinMs);
    return events.map(({ id }) => {
      const [only, ...more] = byId.get(id)!;
      expect(more).toEqual([]);
      return only!;
    });
  }

  /** What the subscriber gets: the envelope around the very bytes. */
  const expectedBody = ({ type, data }: Sample, { createdAt }: EmittedShown): string =>
    `{"type":${JSON.stringify(type)},"timestamp":"${createdAt}","data":${data}}`;

  /** Compares without making Jest print a difference of megabytes; names the samples that differ. */
  async function expectByteExact(samples: readonly Sample[], events: readonly EmittedShown[]): Promise<void> {
    expect(events).toHaveLength(samples.length);
    const requests = await arrivals(events);
    const changed = samples.filter(
      (sample, index) => !requests[index]!.body.equals(Buffer.from(expectedBody(sample, events[index]!))),
    );
    expect(changed.map(({ type, data }) => `${type} ${data.slice(0, 100)}`)).toEqual([]);
    for (const request of requests) verifyWebhook(request, subscription.secret);
  }

  async function expectShownByteExact(
    samples: readonly Sample[],
    events: readonly EmittedShown[],
  ): Promise<void> {
    const changed = await inParallel(samples, async ({ data }, index) => {
      const { status, bytes } = await posthorn.request('GET', `/v1/events/${events[index]!.id}`);
      return status === 200 &&
        bytes.subarray(-Buffer.byteLength(data) - 9).equals(Buffer.from(`,"data":${data}}`))
        ? []
        : [`${status} ${data.slice(0, 100)}`];
    });
    expect(changed.flat()).toEqual([]);
  }

  const emitBatched = async (samples: readonly Sample[]): Promise<EmittedShown[]> => {
    const batches = Array.from({ length: Math.ceil(samples.length / BATCH) }, (_, index) =>
      samples.slice(index * BATCH, (index + 1) * BATCH),
    );
    const emitted = await inParallel(batches, (batch) =>
      posthorn.emitBatch(`[${batch.map(envelopeOf).join(',\n')}]`),
    );
    return emitted.flat();
  };

  const emitSingly = (samples: readonly Sample[]): Promise<EmittedShown[]> =>
    inParallel(samples, (sample) => posthorn.emit(envelopeOf(sample)));

  it('has the 329 real payloads to try', () => {
    expect(githubSamples(compact)).toHaveLength(329);
  });

  it.each([
    ['compact', 'in batches', compact, emitBatched],
    ['pretty-printed', 'in batches', pretty, emitBatched],
    ['compact', 'one by one', compact, emitSingly],
    ['pretty-printed', 'one by one', pretty, emitSingly],
  ] as const)(
    'delivers every real payload, %s and emitted %s, byte for byte',
    async (_form, _way, print, emit) => {
      const samples = githubSamples(print);
      const events = await emit(samples);
      await expectByteExact(samples, events);
      await expectShownByteExact(samples, events);
    },
    120_000,
  );

  it.each([
    ['a batch', emitBatched],
    ['requests of their own', emitSingly],
  ] as const)(
    'delivers hard values in %s byte for byte, and shows them so',
    async (_way, emit) => {
      const samples = Object.values(HARD).map((data) => ({ type: 'hard', data }));
      const events = await emit(samples);
      await expectByteExact(samples, events);
      await expectShownByteExact(samples, events);
    },
    60_000,
  );

  it('finds data wherever and however the envelope has it', async () => {
    const events = await inParallel(Object.values(ENVELOPES), (text) => posthorn.emit(text));
    await expectByteExact(
      events.map(() => ({ type: 't', data: '[1,  2]' })),
      events,
    );
  });

  it('delivers what waits for many subscriptions, to each its own', async () => {
    // As many events at once as a worker claims at most; a new subscription may have ten.
    const types = Array.from({ length: 40 }, (_, n) => `waiting.${n}`);
    const targets = await inParallel(types, (type) =>
      posthorn.subscribe(receiver.url, { tenant: 'waiting', eventTypes: [type] }),
    );
    const ask = (what: string) =>
      inParallel(targets, ({ id }) => posthorn.ask(200, 'POST', `/v1/subscriptions/${id}/${what}`));
    await ask('pause');
    const samples = types.flatMap((type) =>
      Array.from({ length: 10 }, (_, n) => ({ type, data: `["${type}",${n},"é😀"]` })),
    );
    const events = await posthorn.emitBatch(
      `[${samples.map((sample) => envelopeOf(sample).replace('{', '{"tenant":"waiting",')).join()}]`,
    );
    await ask('resume');
    const requests = await arrivals(events, BEFORE_A_LEASE_ENDS_MS);
    const wrong = samples.filter(
      (sample, index) => requests[index]!.body.toString() !== expectedBody(sample, events[index]!),
    );
    expect(wrong).toEqual([]);
  }, 60_000);

  it('delivers the time that the producer gave, and one externalId once', async () => {
    const text = '{"type":"t","externalId":"once","timestamp":"2026-01-02T03:04:05.678+02:00","data":1.0}';
    const [first, second] = [await posthorn.emit(text), await posthorn.emit(text)];
    expect(second).toEqual({ ...first, duplicate: true });
    const [request] = await arrivals([first]);
    expect(request!.body.toString()).toBe('{"type":"t","timestamp":"2026-01-02T01:04:05.678Z","data":1.0}');
  });

  it.each(Object.entries(REFUSED))('refuses %s with a reason, and stores nothing', async (_name, refused) => {
    const before = await posthorn.sql('select count(*) from posthorn.events');
    for (const body of [refused.body, Buffer.concat([Buffer.from('['), refused.body, Buffer.from(']')])]) {
      const answer = await posthorn.request('POST', '/v1/events', { body });
      const problem = JSON.parse(answer.bytes.toString());
      expect({ status: answer.status, code: problem.code }).toEqual({
        status: refused.status,
        code: refused.code,
      });
      expect(answer.headers.get('content-type')).toMatch(/^application\/problem\+json/);
      expect(problem.detail).toEqual(expect.stringMatching(/.{10}/));
      if (refused.pointer !== undefined) {
        const pointer = body === refused.body ? refused.pointer : refused.pointer.replace('#', '#/0');
        expect(problem.errors).toEqual([{ pointer, detail: expect.any(String) }]);
      }
    }
    expect(await posthorn.sql('select count(*) from posthorn.events')).toEqual(before);
  });

  it('refuses a whole batch for the wrong ones in it, and names each', async () => {
    const good = '{"type":"t","data":1}';
    const answer = await posthorn.request('POST', '/v1/events', {
      body: `[${good},${good},${good},{"type":"not a type","data":1},{"type":"t"}]`,
    });
    expect(answer.status).toBe(422);
    expect(JSON.parse(answer.bytes.toString()).errors).toEqual([
      { pointer: '#/3/type', detail: expect.any(String) },
      { pointer: '#/4/data', detail: expect.any(String) },
    ]);
  });

  it('has succeeded with everything at the first attempt', async () => {
    await posthorn.waitUntilIdle();
    expect(await posthorn.sql('select distinct state, attempt_number from posthorn.deliveries')).toEqual([
      { state: 'succeeded', attempt_number: 1 },
    ]);
  });
});

/** Like `Promise.all` over a mapping, with as many at once as a busy client has. */
async function inParallel<Item, Result>(
  items: readonly Item[],
  work: (item: Item, index: number) => Promise<Result>,
): Promise<Result[]> {
  const results: Result[] = new Array<Result>(items.length);
  let next = 0;
  const client = async (): Promise<void> => {
    for (let index = next++; index < items.length; index = next++)
      results[index] = await work(items[index]!, index);
  };
  await Promise.all(Array.from({ length: CLIENTS }, client));
  return results;
}
