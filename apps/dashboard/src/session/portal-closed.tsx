import { useEffect } from 'react';
import { credentials } from '../api/credentials.ts';

/** What a tenant sees whose link is over, was withdrawn or never was one. */
export function PortalClosed() {
  useEffect(() => {
    credentials.forgetPortalToken();
    document.title = 'This link is no longer valid';
  }, []);
  return (
    <main className="mx-auto flex min-h-dvh max-w-lg flex-col items-center justify-center gap-3 p-6 text-center">
      <h1 className="text-2xl font-semibold">This link is no longer valid</h1>
      <p className="text-quiet">
        Links to this page last for a while only, so that nobody can use an old one. Nothing is lost: your
        webhooks go on as they are.
      </p>
      <p className="text-quiet">
        Go back to where you came from and open this page from there again; it makes a new link.
      </p>
    </main>
  );
}
