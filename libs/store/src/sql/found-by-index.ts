/**
 * The condition that a column has a value, for statements that read one page in the order of `id` and have an index on
 * the column and `id`.
 *
 * It is said twice, because a plan that is made without looking at its parameters takes each of few values to have a
 * large share of the rows: it would look for those of one that has hardly any by walking through all, newest first.
 * Only where it is the one condition that narrows: beside another one with an index, what is said to be so rare is
 * read whole and sorted.
 *
 * @param place of the value among the parameters of the statement
 */
export function foundByIndex(column: string, place: string): string {
  return `${column} = ${place} and ${column} between ${place} and ${place}`;
}

export function isEqual(column: string, place: string): string {
  return `${column} = ${place}`;
}

/**
 * The condition that a key is that of a row of another part of the statement, in a form that can only be used by looking
 * each row up by it.
 *
 * A plan lives as long as its connection, or until the table is analyzed. One that was made while a table had no rows
 * would take a plain equality for a reason to walk through the whole table once for each row, and go on doing so when
 * there are a million: a claim of 250 of 100,000 took 43 s.
 */
export function isKeyOf(key: string, value: string): string {
  return `${key} = any (array[${value}])`;
}

/** The same for all the keys that a query answers. */
export function isKeyAmong(key: string, query: string): string {
  return `${key} = any (array(${query}))`;
}
