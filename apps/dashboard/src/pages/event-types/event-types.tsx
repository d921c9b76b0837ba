import { useState } from 'react';
import { Link, useSearchParams } from 'react-router';
import { $api } from '../../api/client.ts';
import { Empty } from '../../components/empty.tsx';
import { Loaded } from '../../components/loaded.tsx';
import { Page } from '../../components/page.tsx';
import { Pager } from '../../components/pager.tsx';
import { Time } from '../../components/time.tsx';
import { EditEventType, useMayEditEventTypes } from './edit-event-type.tsx';

/** The catalogue: what kinds of events there are. */
export function Component() {
  const [params] = useSearchParams();
  const cursor = params.get('cursor') ?? undefined;
  const mayEdit = useMayEditEventTypes();
  const types = $api.useQuery('get', '/v1/event-types', {
    params: { query: cursor === undefined ? {} : { cursor } },
  });
  const [isAdding, setIsAdding] = useState(false);
  const add = mayEdit && (
    <button type="button" className="btn btn-primary" onClick={() => setIsAdding(true)}>
      New event type
    </button>
  );
  return (
    <Page title="Event types" description="What can happen, and what an event of each says." actions={add}>
      <Loaded query={types}>
        {(page) =>
          page.data.length === 0 ? (
            <Empty title="The catalogue is empty" action={add}>
              Events of any type can be emitted without it. What is in it has a description, a schema and an
              example for whoever receives it.
            </Empty>
          ) : (
            <>
              <div className="table-box">
                <table className="table">
                  <thead>
                    <tr>
                      <th scope="col">Event type</th>
                      <th scope="col" className="hidden sm:table-cell">
                        Has
                      </th>
                      <th scope="col" className="hidden md:table-cell">
                        Changed
                      </th>
                    </tr>
                  </thead>
                  <tbody>
                    {page.data.map((type) => (
                      <tr key={type.name}>
                        <td>
                          <Link to={`/event-types/${type.name}`} className="link font-medium break-all">
                            {type.name}
                          </Link>
                          {type.description !== null && (
                            <p dir="auto" className="text-quiet mt-0.5 line-clamp-2 text-sm break-words">
                              {type.description}
                            </p>
                          )}
                        </td>
                        <td className="hidden whitespace-nowrap sm:table-cell">
                          {[type.schema !== null && 'schema', type.example !== null && 'example']
                            .filter(Boolean)
                            .join(', ') || <span className="text-quiet">name only</span>}
                        </td>
                        <td className="hidden md:table-cell">
                          <Time at={type.updatedAt} />
                        </td>
                      </tr>
                    ))}
                  </tbody>
                </table>
              </div>
              <Pager page={page} />
            </>
          )
        }
      </Loaded>
      {isAdding && <EditEventType onClose={() => setIsAdding(false)} />}
    </Page>
  );
}
