/** Which rows of a list: up to `limit + 1` of those after (older) or before (newer) a position. */
export interface Slice {
  limit: number;
  after?: string | undefined;
  before?: string | undefined;
}
