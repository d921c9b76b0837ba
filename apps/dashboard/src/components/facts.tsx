import type { ReactNode } from 'react';

/** What is known of a thing, each under what it is. */
export function Facts({ children }: { children: ReactNode }) {
  return (
    <dl className="border-base-300 bg-base-100 grid gap-x-6 gap-y-3 rounded-box border p-4 text-sm sm:grid-cols-2 lg:grid-cols-3">
      {children}
    </dl>
  );
}

export function Fact({ label, children }: { label: string; children: ReactNode }) {
  return (
    <div className="min-w-0">
      <dt className="text-quiet text-xs">{label}</dt>
      <dd className="min-w-0">{children}</dd>
    </div>
  );
}
