import { useLayoutEffect, useRef, type ReactNode } from 'react';
import { ProblemNotice } from './problem-notice.tsx';

/** A dialog over the page: the browser keeps the focus in it and gives it back after, and Escape closes it. */
export function Dialog({
  title,
  onClose,
  children,
  wide = false,
}: {
  title: string;
  onClose: () => void;
  children: ReactNode;
  wide?: boolean;
}) {
  const dialog = useRef<HTMLDialogElement>(null);
  // Before it leaves the document: the browser gives the focus back only for a dialog that is still there.
  useLayoutEffect(() => {
    const element = dialog.current;
    if (element && !element.open) element.showModal();
    return () => element?.close();
  }, []);
  return (
    <dialog
      ref={dialog}
      className="modal"
      aria-label={title}
      onCancel={(event) => {
        event.preventDefault();
        onClose();
      }}
    >
      <div className={`modal-box ${wide ? 'max-w-3xl' : 'max-w-lg'}`}>
        <h2 className="mb-3 text-lg font-semibold">{title}</h2>
        {children}
      </div>
    </dialog>
  );
}

/** The buttons under what a dialog asks for. */
export function DialogActions({
  onClose,
  confirm,
  isPending,
  isReady = true,
  tone = 'primary',
}: {
  onClose: () => void;
  /** What the button says that does it: the verb, and not "OK". */
  confirm: string;
  isPending: boolean;
  /** Whether what is asked for is there. */
  isReady?: boolean;
  tone?: 'primary' | 'danger';
}) {
  return (
    <div className="mt-6 flex justify-end gap-2">
      <button type="button" className="btn" onClick={onClose}>
        Back
      </button>
      <button
        type="submit"
        className={`btn ${tone === 'danger' ? 'btn-error' : 'btn-primary'}`}
        disabled={isPending || !isReady}
      >
        {isPending ? 'Working …' : confirm}
      </button>
    </div>
  );
}

/** Asks once more before something is done, and says why it was refused. */
export function ConfirmDialog({
  title,
  confirm,
  tone = 'primary',
  request,
  onConfirm,
  onClose,
  children,
}: {
  title: string;
  /** What the button says that does it. */
  confirm: string;
  tone?: 'primary' | 'danger';
  /** How it is going. */
  request: { isPending: boolean; error: unknown };
  onConfirm: () => void;
  onClose: () => void;
  /** What happens then. */
  children: ReactNode;
}) {
  return (
    <Dialog title={title} onClose={onClose}>
      <form
        className="text-sm"
        onSubmit={(event) => {
          event.preventDefault();
          onConfirm();
        }}
      >
        {Boolean(request.error) && (
          <div className="mb-3">
            <ProblemNotice error={request.error} />
          </div>
        )}
        {children}
        <DialogActions onClose={onClose} confirm={confirm} isPending={request.isPending} tone={tone} />
      </form>
    </Dialog>
  );
}
