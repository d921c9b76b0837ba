import { useMutation } from '@tanstack/react-query';
import { useEffect, useState } from 'react';
import { api, asProblem } from '../api/client.ts';
import { Brand } from '../components/brand.tsx';

const SIGN_IN_PATH = '/sign-in';

/** The token of a one-time link, taken out of the address bar at once; no server is sent a fragment. */
function takeSignInToken(): string | undefined {
  if (window.location.pathname !== SIGN_IN_PATH) return undefined;
  const token = new URLSearchParams(window.location.hash.slice(1)).get('token') ?? undefined;
  history.replaceState(null, '', '/');
  return token;
}

// Read when the page loads: effects run twice while developing, and the token works once.
const signInToken = takeSignInToken();
let isTokenUsed = false;

/** Exchanges an API key, or the token of a one-time link, for a session; then the page asked for is shown. */
export function SignIn({ onSignedIn }: { onSignedIn: () => Promise<unknown> }) {
  const [apiKey, setApiKey] = useState('');
  const signIn = useMutation({
    mutationFn: async (body: { apiKey: string } | { signInToken: string }) => {
      const { error } = await api.POST('/v1/session', { body });
      if (error) throw error;
    },
    onSuccess: onSignedIn,
  });
  const { mutate } = signIn;
  useEffect(() => {
    document.title = 'Sign in · Posthorn';
    if (signInToken !== undefined && !isTokenUsed) {
      isTokenUsed = true;
      mutate({ signInToken });
    }
  }, [mutate]);
  const problem = signIn.error && asProblem(signIn.error);

  return (
    <main className="bg-base-200 flex min-h-dvh items-center justify-center p-4">
      <form
        className="bg-base-100 border-base-300 w-full max-w-md rounded-box border p-6 shadow-sm"
        onSubmit={(event) => {
          event.preventDefault();
          mutate({ apiKey: apiKey.trim() });
        }}
      >
        <Brand />
        <h1 className="mt-4 text-xl font-semibold">Sign in</h1>
        <p className="text-quiet mt-1 text-sm">
          With an API key, or with the link that <code>npm start</code> and{' '}
          <code>npm run posthorn -- sign-in</code> print.
        </p>
        <label htmlFor="api-key" className="mt-5 block text-sm font-medium">
          API key
        </label>
        <input
          id="api-key"
          type="password"
          autoComplete="off"
          spellCheck={false}
          required
          className="input mt-1 w-full font-mono"
          placeholder="phk_…"
          value={apiKey}
          onChange={(event) => setApiKey(event.target.value)}
          aria-describedby={problem ? 'sign-in-problem' : undefined}
        />
        {problem && (
          <p id="sign-in-problem" role="alert" className="text-error mt-2 text-sm">
            {problem.detail}
          </p>
        )}
        <button type="submit" className="btn btn-primary mt-5 w-full" disabled={signIn.isPending}>
          {signIn.isPending ? 'Signing in …' : 'Sign in'}
        </button>
        <p className="text-quiet mt-4 text-xs">
          The key is exchanged for a session in a cookie that no script can read; it is not kept in this
          browser.
        </p>
      </form>
    </main>
  );
}
