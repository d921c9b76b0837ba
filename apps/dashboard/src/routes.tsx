import {
  createBrowserRouter,
  isRouteErrorResponse,
  Link,
  useRouteError,
  type RouteObject,
} from 'react-router';
import { isPortal } from './api/credentials.ts';
import { Empty } from './components/empty.tsx';
import { Loading } from './components/loading.tsx';
import { Page } from './components/page.tsx';
import { Layout } from './layout.tsx';

/** Every page is fetched when it is first gone to, so that the first one is there soon. */
export const router = createBrowserRouter(
  [
    {
      path: '/',
      Component: Layout,
      ErrorBoundary: Broken,
      HydrateFallback: () => <Loading page />,
      children: [
        { index: true, lazy: () => import('./pages/overview/overview.tsx') },
        { path: 'events', lazy: () => import('./pages/events/events.tsx') },
        { path: 'events/new', lazy: () => import('./pages/events/emit-event.tsx') },
        { path: 'events/:id', lazy: () => import('./pages/events/event.tsx') },
        { path: 'event-types', lazy: () => import('./pages/event-types/event-types.tsx') },
        { path: 'event-types/:name', lazy: () => import('./pages/event-types/event-type.tsx') },
        {
          path: 'signature-debugger',
          lazy: () => import('./pages/signature-debugger/signature-debugger.tsx'),
        },
        { path: 'subscriptions', lazy: () => import('./pages/subscriptions/subscriptions.tsx') },
        { path: 'subscriptions/new', lazy: () => import('./pages/subscriptions/new-subscription.tsx') },
        { path: 'subscriptions/:id', lazy: () => import('./pages/subscriptions/subscription.tsx') },
        {
          path: 'subscriptions/:id/edit',
          lazy: () => import('./pages/subscriptions/edit-subscription.tsx'),
        },
        ...(isPortal ? [] : operatorPages()),
        { path: 'deliveries', lazy: () => import('./pages/deliveries/delivery-log.tsx') },
        { path: 'deliveries/:id', lazy: () => import('./pages/deliveries/delivery.tsx') },
        { path: 'replays', lazy: () => import('./pages/replays/replays.tsx') },
        { path: 'replays/:id', lazy: () => import('./pages/replays/replay.tsx') },
        { path: '*', Component: NoSuchPage },
      ],
    },
  ],
  { basename: isPortal ? '/portal' : '/' },
);

/** What no tenant has to do with. */
function operatorPages(): RouteObject[] {
  return [
    { path: 'api-keys', lazy: () => import('./pages/api-keys/api-keys.tsx') },
    { path: 'tenants', lazy: () => import('./pages/tenants/tenants.tsx') },
    { path: 'settings', lazy: () => import('./pages/settings/settings.tsx') },
  ];
}

function NoSuchPage() {
  return (
    <Page title="There is nothing here">
      <Empty
        title="No page has this address"
        action={
          <Link to="/" className="btn btn-primary">
            To the overview
          </Link>
        }
      >
        It may have been mistyped, or what it showed was deleted.
      </Empty>
    </Page>
  );
}

/** A page that broke, or could not be fetched because Posthorn was upgraded meanwhile. */
function Broken() {
  const error = useRouteError();
  return (
    <main className="mx-auto max-w-xl p-6">
      <h1 className="text-xl font-semibold">This page broke</h1>
      <p className="text-quiet mt-2">
        That is a fault of ours. Loading it anew helps if Posthorn was upgraded meanwhile.
      </p>
      <pre className="bg-base-200 mt-3 overflow-auto rounded-box p-3 text-xs">
        {isRouteErrorResponse(error) ? error.statusText : String(error)}
      </pre>
      <button type="button" className="btn btn-primary mt-4" onClick={() => window.location.reload()}>
        Load it anew
      </button>
    </main>
  );
}
