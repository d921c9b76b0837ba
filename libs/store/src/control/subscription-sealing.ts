/*
 * Where a sealed value lives, as text that is authenticated with it (`SecretBox`): a ciphertext that is
 * copied to another row or tenant does not open there. These texts are part of the stored format: changing
 * one makes everything sealed under it unreadable.
 */

/** For `subscription_secrets.sealed`. */
export function sealedSecretContext(tenant: string, secretId: string): string {
  return `${tenant}|subscription_secrets|${secretId}|sealed`;
}

/** For one value in `subscriptions.headers`. The name counts without its case, as HTTP has it. */
export function sealedHeaderContext(tenant: string, subscriptionId: string, headerName: string): string {
  return `${tenant}|subscriptions|${subscriptionId}|headers|${headerName.toLowerCase()}`;
}
