import { createContext, use, useCallback, useRef, useState, type ReactNode } from 'react';

const SHOWN_MS = 6_000;

interface Toast {
  key: number;
  text: string;
}

const ToastContext = createContext<(text: string) => void>(() => undefined);

/** Says in a corner, for a while, that something was done. What went wrong belongs beside what was asked for. */
export function useToast(): (text: string) => void {
  return use(ToastContext);
}

export function Toasts({ children }: { children: ReactNode }) {
  const [toasts, setToasts] = useState<Toast[]>([]);
  const next = useRef(0);
  const show = useCallback((text: string) => {
    const key = next.current++;
    setToasts((now) => [...now, { key, text }]);
    setTimeout(() => setToasts((now) => now.filter((toast) => toast.key !== key)), SHOWN_MS);
  }, []);
  return (
    <ToastContext value={show}>
      {children}
      <div className="toast toast-end z-50" role="status" aria-live="polite">
        {toasts.map(({ key, text }) => (
          <div key={key} className="bg-neutral text-neutral-content rounded-box px-4 py-2 text-sm shadow-lg">
            {text}
          </div>
        ))}
      </div>
    </ToastContext>
  );
}
