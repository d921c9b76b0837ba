const NAME = 'posthorn_session';

/**
 * The cookie of somebody who is signed in to the dashboard. No script can read it, and no other site's page sends it.
 *
 * Where people come over https it is `Secure` and has the prefix `__Host-`, which no neighbouring host can set.
 * Source: RFC 6265bis §4.1.
 */
export class SessionCookie {
  readonly name: string;
  private readonly attributes: string;

  /** @param publicUrl where people reach this deployment, if that was said */
  constructor(publicUrl: string | undefined) {
    const isSecure = publicUrl?.startsWith('https:') === true;
    this.name = isSecure ? `__Host-${NAME}` : NAME;
    this.attributes = `Path=/; HttpOnly; SameSite=Strict${isSecure ? '; Secure' : ''}`;
  }

  /** The token in a `cookie` header, as it was sent. */
  read(header: string | undefined): string | undefined {
    for (const pair of header?.split(';') ?? []) {
      const at = pair.indexOf('=');
      if (at !== -1 && pair.slice(0, at).trim() === this.name) return pair.slice(at + 1).trim();
    }
    return undefined;
  }

  /** A `set-cookie` header that keeps `token` for `ttlMs`. */
  keeping(token: string, ttlMs: number): string {
    return `${this.name}=${token}; ${this.attributes}; Max-Age=${Math.ceil(ttlMs / 1000)}`;
  }

  /** A `set-cookie` header that makes the browser forget. */
  get cleared(): string {
    return `${this.name}=; ${this.attributes}; Max-Age=0`;
  }
}
