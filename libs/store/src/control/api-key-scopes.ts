/** What a key may do. `admin` implies every other one. */
export const SCOPES = [
  'events:write',
  'events:read',
  'subscriptions:read',
  'subscriptions:write',
  'secrets:read',
  'deliveries:read',
  'deliveries:write',
  'metrics:read',
  'admin',
] as const;

export type Scope = (typeof SCOPES)[number];

/** Whether somebody with `held` may do what needs `needed`. */
export function covers(held: readonly Scope[], needed: Scope): boolean {
  return held.includes('admin') || held.includes(needed);
}
