import { useMutation } from '@tanstack/react-query';
import { Suspense, useState } from 'react';
import { NavLink, Outlet, ScrollRestoration, useLocation, useNavigation } from 'react-router';
import { api } from './api/client.ts';
import { isPortal } from './api/credentials.ts';
import { Brand } from './components/brand.tsx';
import { Loading } from './components/loading.tsx';
import { useSession, type Session } from './session/session.tsx';
import { chooseMode, storedMode, type ThemeMode } from './session/theme.ts';

/** `for`: whom a page is for. A tenant, in a portal or with a key of its own, sees what is the tenant's. */
const PAGES = [
  { to: '/', label: 'Overview', for: 'everyone' },
  { to: '/deliveries', label: 'Deliveries', for: 'everyone' },
  { to: '/events', label: 'Events', for: 'everyone' },
  { to: '/subscriptions', label: 'Subscriptions', for: 'everyone' },
  { to: '/replays', label: 'Replays', for: 'everyone' },
  { to: '/event-types', label: 'Event types', for: 'everyone' },
  { to: '/signature-debugger', label: 'Signature debugger', for: 'everyone' },
  { to: '/tenants', label: 'Tenants', for: 'admin' },
  { to: '/api-keys', label: 'API keys', for: 'admin' },
  { to: '/settings', label: 'Settings', for: 'operator' },
] as const;

/** The frame around all pages: where one can go, and who is signed in. */
export function Layout() {
  const session = useSession();
  const { pathname } = useLocation();
  // Open on the page it was opened on: going to another closes it.
  const [menuOpenOn, setMenuOpenOn] = useState<string>();
  const isMenuOpen = menuOpenOn === pathname;
  const isBusy = useNavigation().state !== 'idle';
  return (
    <div className="bg-base-200 min-h-dvh lg:grid lg:grid-cols-[15rem_minmax(0,1fr)]">
      <a
        href="#content"
        className="bg-base-100 sr-only z-50 rounded-field p-2 focus:not-sr-only focus:absolute focus:top-2 focus:left-2"
      >
        Skip to content
      </a>
      <header className="bg-base-100 border-base-300 flex items-center justify-between border-b px-4 py-2 lg:hidden">
        <Owner session={session} />
        <button
          type="button"
          className="btn btn-sm"
          aria-expanded={isMenuOpen}
          aria-controls="menu"
          onClick={() => setMenuOpenOn(isMenuOpen ? undefined : pathname)}
        >
          Menu
        </button>
      </header>
      <div
        id="menu"
        className={`bg-base-100 border-base-300 border-b lg:sticky lg:top-0 lg:flex lg:h-dvh lg:flex-col lg:border-r lg:border-b-0 ${isMenuOpen ? '' : 'max-lg:hidden'}`}
      >
        <div className="hidden px-5 py-4 lg:block">
          <Owner session={session} />
        </div>
        <nav aria-label="Main" className="px-3 py-2 lg:flex-1 lg:overflow-y-auto">
          <ul className="flex flex-col gap-0.5">
            {PAGES.filter((page) => isFor(session, page.for)).map(({ to, label }) => (
              <li key={to}>
                <NavLink
                  to={to}
                  end={to === '/'}
                  className={({ isActive }) =>
                    `block rounded-field px-3 py-1.5 text-sm ${isActive ? 'bg-primary text-primary-content font-medium' : 'hover:bg-base-200'}`
                  }
                >
                  {label}
                </NavLink>
              </li>
            ))}
          </ul>
        </nav>
        <Account session={session} />
      </div>
      <main id="content" tabIndex={-1} className="min-w-0 outline-none" aria-busy={isBusy}>
        <Suspense fallback={<Loading page />}>
          <Outlet />
        </Suspense>
      </main>
      <ScrollRestoration />
    </div>
  );
}

function isFor(session: Session, whom: (typeof PAGES)[number]['for']): boolean {
  if (whom === 'everyone') return true;
  if (session.kind === 'portal' || !session.scopes.includes('admin')) return false;
  return whom === 'admin' || session.tenant === null;
}

/** Whose pages these are: in a portal the product's, named by whoever made the link. */
function Owner({ session }: { session: Session }) {
  const theme = session.portal?.theme;
  if (!isPortal) return <Brand />;
  return (
    <span className="flex items-center gap-2 text-lg font-semibold">
      {theme?.logoUrl && (
        <img src={theme.logoUrl} alt="" className="max-h-7 max-w-24" referrerPolicy="no-referrer" />
      )}
      {theme?.name ?? 'Webhooks'}
    </span>
  );
}

function Account({ session }: { session: Session }) {
  const [mode, setMode] = useState<ThemeMode>(storedMode);
  const signOut = useMutation({
    mutationFn: () => api.DELETE('/v1/session'),
    // Loaded anew, so that nothing of what was seen stays in memory.
    onSuccess: () => window.location.assign('/'),
  });
  return (
    <div className="border-base-300 flex flex-wrap items-center gap-2 border-t px-5 py-3 text-sm">
      {session.tenant !== null && !isPortal && (
        <p className="text-quiet w-full truncate">
          tenant <code>{session.tenant}</code>
        </p>
      )}
      <label className="sr-only" htmlFor="theme">
        Colours
      </label>
      <select
        id="theme"
        className="select select-xs w-auto"
        value={mode}
        onChange={(event) => {
          const chosen = event.target.value as ThemeMode;
          setMode(chosen);
          chooseMode(chosen);
        }}
      >
        <option value="auto">Auto</option>
        <option value="light">Light</option>
        <option value="dark">Dark</option>
      </select>
      {session.portal?.returnUrl && (
        <a href={session.portal.returnUrl} rel="noreferrer" target="_top" className="link-hover text-quiet">
          Back
        </a>
      )}
      {!isPortal && (
        <>
          <a href="/docs" className="link-hover text-quiet">
            API
          </a>
          <button
            type="button"
            className="link-hover text-quiet ml-auto cursor-pointer"
            onClick={() => signOut.mutate()}
          >
            Sign out
          </button>
        </>
      )}
    </div>
  );
}
