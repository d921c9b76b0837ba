/** `99.5 %`; never 100 when something failed. */
export function shareText(share: number | null): string {
  return share === null ? '–' : `${(Math.floor(share * 1_000) / 10).toString()} %`;
}
