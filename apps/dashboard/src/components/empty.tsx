import type { ReactNode } from 'react';

/** Nothing is there: why, and the next step. */
export function Empty({
  title,
  children,
  action,
}: {
  title: string;
  children?: ReactNode;
  action?: ReactNode;
}) {
  return (
    <div className="border-base-300 bg-base-100 flex flex-col items-center gap-2 rounded-box border border-dashed px-6 py-12 text-center">
      <p className="font-semibold">{title}</p>
      {children !== undefined && <div className="text-quiet max-w-prose text-sm">{children}</div>}
      {action !== undefined && <div className="mt-2">{action}</div>}
    </div>
  );
}
