import type { ReactNode } from 'react';
import { Link } from 'react-router';
import type { Schemas } from '../../api/client.ts';
import { CodeBlock } from '../../components/code-view.tsx';
import { Id } from '../../components/id.tsx';
import { Page } from '../../components/page.tsx';
import { useMay } from '../../session/session.tsx';
import { TestEvent } from './test-event.tsx';

/** What is to be done with a new subscription: keep its secret, and see a first webhook arrive. */
export function CreatedSubscription({ created }: { created: Schemas['CreatedSubscription'] }) {
  const mayReveal = useMay('secrets:read');
  return (
    <Page
      title="The subscription is made"
      back={{ to: '/subscriptions', label: 'Subscriptions' }}
      description={
        <>
          To <code className="break-all">{created.url}</code>
        </>
      }
    >
      <div className="max-w-2xl">
        <Step number={1} title="Give the receiver its signing secret">
          <p className="text-quiet mb-2 text-sm">
            With it the receiver checks that a webhook comes from here.{' '}
            {mayReveal
              ? 'You can reveal it again later, on the page of the subscription.'
              : 'You see it only now; later it can be revealed by whoever may read signing secrets.'}
          </p>
          <CodeBlock text={created.secret} label="signing secret" />
        </Step>
        <Step number={2} title="Send a test event">
          <TestEvent subscription={created} />
        </Step>
        <Step number={3} title="See it at work">
          <p className="mb-2 text-sm">
            <Id id={created.id} label="id of the subscription" />
          </p>
          <Link to={`/subscriptions/${created.id}`} className="btn">
            To the subscription
          </Link>
        </Step>
      </div>
    </Page>
  );
}

function Step({ number, title, children }: { number: number; title: string; children: ReactNode }) {
  return (
    <section
      aria-label={title}
      className="border-base-300 bg-base-100 mb-4 grid grid-cols-[2rem_minmax(0,1fr)] gap-x-2 rounded-box border p-4"
    >
      <span aria-hidden className="text-quiet text-lg font-semibold">
        {number}
      </span>
      <div>
        <h2 className="mb-2 text-lg font-semibold">{title}</h2>
        {children}
      </div>
    </section>
  );
}
