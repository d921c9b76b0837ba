/** An answer as the sender's `resolve` option wants it. */
export interface FakeAnswer {
  address: string;
  family: 4 | 6;
  ttlMs?: number;
}

/** What one question gets: addresses, an error with a `node:dns` code, or silence. */
export type FakeReply = readonly string[] | { code: string } | 'hang';

/**
 * A stand-in for DNS. Each name has a list of replies that are used up question by question, the last one
 * repeating: `[['93.184.216.34'], ['127.0.0.1']]` is a rebinding name. Unknown names do not exist.
 */
export class FakeResolver {
  /** The names asked for, in order. */
  readonly asked: string[] = [];
  private readonly replies = new Map<string, FakeReply[]>();

  /** @param ttlMs of every answer; none given when absent */
  constructor(
    names: Record<string, FakeReply[]> = {},
    private readonly ttlMs?: number,
  ) {
    for (const [name, replies] of Object.entries(names)) this.set(name, ...replies);
  }

  set(name: string, ...replies: FakeReply[]): void {
    this.replies.set(name, replies);
  }

  /** To be handed over as `resolve`. */
  readonly resolve = (host: string): Promise<FakeAnswer[]> => {
    this.asked.push(host);
    const replies = this.replies.get(host) ?? [{ code: 'ENOTFOUND' }];
    const reply = (replies.length > 1 ? replies.shift() : replies[0]) ?? [];
    if (reply === 'hang') return new Promise(() => undefined);
    if ('code' in reply)
      return Promise.reject(Object.assign(new Error(`fake ${reply.code}`), { code: reply.code }));
    return Promise.resolve(
      reply.map((address) => ({
        address,
        family: address.includes(':') ? 6 : 4,
        ...(this.ttlMs === undefined ? {} : { ttlMs: this.ttlMs }),
      })),
    );
  };
}
