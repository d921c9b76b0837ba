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
