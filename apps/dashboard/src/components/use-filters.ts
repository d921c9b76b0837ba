import { useSearchParams } from 'react-router';

/**
 * The filters of a list, kept in the address: a link shows the same list, and the way back is the browser's.
 *
 * @param names the parameters that are filters; others, such as `cursor`, are not touched but for starting at the
 *   newest again when a filter changes
 */
export function useFilters<const Name extends string>(names: readonly Name[]) {
  const [params, setParams] = useSearchParams();
  const values = Object.fromEntries(
    names.flatMap((name) => {
      const value = params.get(name);
      return value === null || value === '' ? [] : [[name, value]];
    }),
  ) as Partial<Record<Name, string>>;
  const set = (changes: Partial<Record<Name, string | undefined>>) => {
    setParams(
      (now) => {
        now.delete('cursor');
        for (const [name, value] of Object.entries<string | undefined>(changes)) {
          if (value === undefined || value === '') now.delete(name);
          else now.set(name, value);
        }
        return now;
      },
      { replace: true, flushSync: true }, // at once: a control that shows the address would spring back until then
    );
  };
  const cursor = params.get('cursor');
  return { values, set, page: cursor === null ? {} : { cursor } };
}
