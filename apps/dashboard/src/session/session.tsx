import { useQuery, useQueryClient } from '@tanstack/react-query';
import { createContext, use, useCallback, useEffect, type ReactNode } from 'react';
import { api, asProblem, type Schemas } from '../api/client.ts';
import { credentials, isPortal } from '../api/credentials.ts';
import { Loading } from '../components/loading.tsx';
import { ProblemNotice } from '../components/problem-notice.tsx';
import { PortalClosed } from './portal-closed.tsx';
import { SignIn } from './sign-in.tsx';
import { applyPortalTheme } from './theme.ts';

export type Session = Schemas['Session'];
type Scope = Session['scopes'][number];

const SessionContext = createContext<Session | undefined>(undefined);

/** Who is signed in. Only for what is shown behind the gate. */
export function useSession(): Session {
  const session = use(SessionContext);
  if (!session) throw new Error('useSession outside of SessionGate');
  return session;
}

/** Whether who is signed in may do what needs this scope; what they may not do is not offered. */
export function useMay(scope: Scope): boolean {
  const { scopes } = useSession();
  return scopes.includes(scope) || scopes.includes('admin');
}

/** Whether pages show things of several tenants, and so say whose each is. */
export function useSeesAllTenants(): boolean {
  return useSession().tenant === null;
}

const SESSION_QUERY = ['session'] as const;

/** Asks who is signed in; shows the pages to them, and to nobody else. */
export function SessionGate({ children }: { children: ReactNode }) {
  const queries = useQueryClient();
  const session = useQuery({
    queryKey: SESSION_QUERY,
    queryFn: async () => {
      const { data, error } = await api.GET('/v1/session');
      if (error) throw error;
      credentials.useCsrfToken(data.csrfToken ?? undefined);
      if (data.portal?.theme) applyPortalTheme(data.portal.theme);
      return data;
    },
    staleTime: Infinity,
  });
  const askAgain = useCallback(() => queries.resetQueries({ queryKey: SESSION_QUERY }), [queries]);
  const enter = () => {
    queries.removeQueries({ type: 'inactive' }); // whoever was here before may have seen more
    return askAgain();
  };
  useEffect(() => credentials.onEnded(() => void askAgain()), [askAgain]);

  if (session.data) return <SessionContext value={session.data}>{children}</SessionContext>;
  if (session.isPending) return <Loading page />;
  const problem = asProblem(session.error);
  if (problem.status === 401) return isPortal ? <PortalClosed /> : <SignIn onSignedIn={enter} />;
  return (
    <main className="mx-auto max-w-xl p-6">
      <ProblemNotice error={session.error} onRetry={() => void session.refetch()} />
    </main>
  );
}
