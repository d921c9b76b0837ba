import { useQueryClient } from '@tanstack/react-query';
import { useEffect, useRef, useState } from 'react';
import { Link } from 'react-router';
import { api, asProblem, type Schemas } from '../../api/client.ts';
import { Dialog, DialogActions } from '../../components/dialog.tsx';

type Delivery = Schemas['Delivery'];
export type BulkVerb = 'resend' | 'cancel';

/** Requests under way, so that a long selection is no burden to anybody else. */
const AT_ONCE = 4;

const VERBS = {
  resend: {
    label: 'Resend',
    done: 'resent',
    meaning:
      'Each gets one extra attempt now, whatever its state. A schedule that still runs stays as it is.',
  },
  cancel: {
    label: 'Cancel',
    done: 'cancelled',
    meaning: 'Those that are pending are given up. What is in flight or has finished stays as it is.',
  },
} as const;

/** Kinder than an error: each of these is how things are, and nobody's fault. */
const KIND_WORDS: Readonly<Record<string, string>> = {
  delivery_in_flight: 'It is being attempted right now. Ask again when that has ended.',
  delivery_finished: 'It had already finished, so there was nothing left to cancel.',
  delivery_not_found: 'It is no longer in the log.',
  subscription_deleted: 'Its subscription was deleted, so there is nowhere to send it.',
  payload_erased: 'Its payload was erased, so there is nothing to send.',
  payload_expired: 'Its payload is no longer kept, so there is nothing to send.',
};

interface Refusal {
  delivery: Delivery;
  words: string;
}

interface Progress {
  done: number;
  refused: Refusal[];
  isOver: boolean;
}

/** Does the same to many deliveries: asks once more, shows how far it is, and says what was refused and why. */
export function BulkDialog({
  verb,
  deliveries: given,
  onDone,
  onClose,
}: {
  verb: BulkVerb;
  deliveries: readonly Delivery[];
  /** With those that were not refused. */
  onDone: (done: readonly Delivery[]) => void;
  onClose: () => void;
}) {
  const queries = useQueryClient();
  const [deliveries] = useState(given); // what is done leaves the selection meanwhile
  const [progress, setProgress] = useState<Progress>();
  const stop = useRef(new AbortController());
  useEffect(() => {
    const { current } = stop;
    return () => current.abort();
  }, []);
  const { label, meaning } = VERBS[verb];
  const count = `${deliveries.length} ${deliveries.length === 1 ? 'delivery' : 'deliveries'}`;
  const run = async () => {
    stop.current = new AbortController();
    const { signal } = stop.current;
    const refused: Refusal[] = [];
    const done: Delivery[] = [];
    const show = (isOver: boolean) => {
      setProgress({ done: done.length + refused.length, refused: [...refused], isOver });
    };
    show(false);
    await atMostAtOnce(AT_ONCE, deliveries, signal, async (delivery) => {
      const words = await actOn(verb, delivery.id);
      if (words === undefined) done.push(delivery);
      else refused.push({ delivery, words });
      show(false);
    });
    show(true);
    onDone(done);
    await queries.invalidateQueries({ queryKey: ['get', '/v1/deliveries'] });
  };
  return (
    <Dialog title={progress ? `${label} ${count}` : `${label} ${count}?`} onClose={onClose}>
      {progress ? (
        <Running
          verb={verb}
          all={deliveries.length}
          progress={progress}
          onStop={() => stop.current.abort()}
          onClose={onClose}
        />
      ) : (
        <form
          onSubmit={(event) => {
            event.preventDefault();
            void run();
          }}
        >
          <p className="text-sm">{meaning}</p>
          <DialogActions
            onClose={onClose}
            confirm={`${label} ${count}`}
            isPending={false}
            tone={verb === 'cancel' ? 'danger' : 'primary'}
          />
        </form>
      )}
    </Dialog>
  );
}

function Running({
  verb,
  all,
  progress: { done, refused, isOver },
  onStop,
  onClose,
}: {
  verb: BulkVerb;
  all: number;
  progress: Progress;
  onStop: () => void;
  onClose: () => void;
}) {
  const well = done - refused.length;
  return (
    <>
      <progress className="progress progress-primary w-full" aria-label="Progress" value={done} max={all} />
      <p role="status" className="mt-1 text-sm">
        {isOver
          ? `${well} of ${all} ${VERBS[verb].done}${done < all ? '; stopped before the others' : ''}.`
          : `${done} of ${all}`}
      </p>
      {refused.length > 0 && (
        <section aria-label="Refused" className="mt-4">
          <h3 className="mb-1 text-sm font-semibold">
            {refused.length} {refused.length === 1 ? 'was' : 'were'} not {VERBS[verb].done}
          </h3>
          <ul
            // Scrolls, so that it has to be reached by the keyboard.
            tabIndex={0}
            className="border-base-300 divide-base-300 max-h-64 divide-y overflow-y-auto rounded-box border"
          >
            {refused.map(({ delivery, words }) => (
              <li key={delivery.id} className="px-3 py-2 text-sm">
                <Link to={`/deliveries/${delivery.id}`} className="link font-mono text-xs break-all">
                  {delivery.id}
                </Link>
                <p className="text-quiet">{words}</p>
              </li>
            ))}
          </ul>
        </section>
      )}
      <div className="mt-6 flex justify-end">
        <button type="button" className="btn" onClick={isOver ? onClose : onStop}>
          {isOver ? 'Close' : 'Stop'}
        </button>
      </div>
    </>
  );
}

/** Resolves with why not, or undefined when it was done; never rejects. */
async function actOn(verb: BulkVerb, id: string): Promise<string | undefined> {
  const params = { params: { path: { id } } };
  try {
    const { error } = await (verb === 'resend'
      ? api.POST('/v1/deliveries/{id}/resend', params)
      : api.POST('/v1/deliveries/{id}/cancel', params));
    return error && (KIND_WORDS[error.code] ?? `${error.title}: ${error.detail}`);
  } catch (error) {
    return asProblem(error).title;
  }
}

/** Begins no more of them once `signal` is aborted; resolves when all that were begun have ended. */
async function atMostAtOnce<Item>(
  most: number,
  items: readonly Item[],
  signal: AbortSignal,
  act: (item: Item) => Promise<void>,
): Promise<void> {
  const rest = items.values();
  const work = async () => {
    for (const item of rest) {
      await act(item);
      if (signal.aborted) return;
    }
  };
  await Promise.all(Array.from({ length: most }, work));
}
