const PORTAL_TOKEN = 'posthorn.portal-token';

/** Read once: in a portal everything lives under this path, and the link brings a token instead of a cookie. */
export const isPortal = /^\/portal(\/|$)/.test(window.location.pathname);

/**
 * What proves to the API who is asking.
 *
 * A dashboard has a cookie that no script can read, and sends the CSRF token with what changes something. A portal has
 * a token of its own, kept for as long as the tab lives: in a frame of another site there would be no cookie.
 */
class Credentials {
  private csrfToken: string | undefined;
  private portalToken = isPortal ? takePortalToken() : undefined;
  private readonly listeners = new Set<() => void>();

  headers(): Record<string, string> {
    if (this.portalToken !== undefined) return { authorization: `Bearer ${this.portalToken}` };
    return this.csrfToken === undefined ? {} : { 'x-csrf-token': this.csrfToken };
  }

  useCsrfToken(token: string | undefined): void {
    this.csrfToken = token;
  }

  forgetPortalToken(): void {
    this.portalToken = undefined;
    inTab((storage) => storage.removeItem(PORTAL_TOKEN));
  }

  /** The API does not know us any more. */
  ended(): void {
    for (const listener of this.listeners) listener();
  }

  onEnded(listener: () => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }
}

/** From the fragment, which no server is sent, and out of the address bar at once. */
function takePortalToken(): string | undefined {
  const given = tokenInFragment();
  if (given !== null) {
    inTab((storage) => storage.setItem(PORTAL_TOKEN, given));
    history.replaceState(null, '', window.location.pathname + window.location.search);
  }
  return given ?? inTab((storage) => storage.getItem(PORTAL_TOKEN)) ?? undefined;
}

function tokenInFragment(): string | null {
  return new URLSearchParams(window.location.hash.slice(1)).get('token');
}

// Another link in a tab that shows a portal is a step within the page: without this it would go on as whose it was.
if (isPortal) {
  window.addEventListener('hashchange', () => {
    if (tokenInFragment() !== null) window.location.reload();
  });
}

/** In a frame of another site some browsers keep nothing: the portal works then until it is reloaded. */
function inTab<Result>(access: (storage: Storage) => Result): Result | undefined {
  try {
    return access(sessionStorage);
  } catch {
    return undefined;
  }
}

export const credentials = new Credentials();
