import { useEffect, useRef, type ReactNode } from 'react';
import { Link, useLocation } from 'react-router';

/** No page was shown yet. On the one that is loaded first the focus stays where it is. */
let isFirst = true;

/** The frame of every page: its name, the way back, and what can be done with all of it. */
export function Page({
  title,
  name = title,
  back,
  description,
  actions,
  children,
}: {
  /** The heading. */
  title: ReactNode;
  /** What the browser's tab says; the heading, if that is plain text. */
  name?: ReactNode;
  back?: { to: string; label: string };
  description?: ReactNode;
  actions?: ReactNode;
  children: ReactNode;
}) {
  useEffect(() => {
    document.title = typeof name === 'string' ? `${name} · Posthorn` : 'Posthorn';
  }, [name]);
  const heading = useRef<HTMLHeadingElement>(null);
  const { pathname } = useLocation();
  useEffect(() => {
    if (!isFirst) heading.current?.focus({ preventScroll: true }); // where who went here goes on reading
    isFirst = false;
  }, [pathname]);
  return (
    <div className="mx-auto w-full max-w-6xl px-4 py-6 sm:px-6">
      {back && (
        <Link to={back.to} className="text-quiet mb-2 inline-block text-sm hover:underline">
          ← {back.label}
        </Link>
      )}
      <div className="mb-5 flex flex-wrap items-start justify-between gap-3">
        <div className="min-w-0">
          <h1 ref={heading} tabIndex={-1} className="text-2xl font-semibold break-words outline-none">
            {title}
          </h1>
          {description !== undefined && (
            <div className="text-quiet mt-1 max-w-prose text-sm">{description}</div>
          )}
        </div>
        {actions !== undefined && <div className="flex flex-wrap gap-2">{actions}</div>}
      </div>
      {children}
    </div>
  );
}

/** A part of a page under a heading of its own. */
export function Section({
  title,
  actions,
  children,
}: {
  title: string;
  actions?: ReactNode;
  children: ReactNode;
}) {
  return (
    <section className="mb-8 min-w-0" aria-label={title}>
      <div className="mb-3 flex flex-wrap items-center justify-between gap-2">
        <h2 className="text-lg font-semibold">{title}</h2>
        {actions}
      </div>
      {children}
    </section>
  );
}
