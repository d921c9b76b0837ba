/** `1,204`. */
export function formatCount(count: number): string {
  return count.toLocaleString('en');
}

/** For an axis of counts: nothing stands between one and two. */
export function formatWhole(count: number): string {
  return Number.isInteger(count) ? formatCount(count) : '';
}

/** `99.5 %`; never 100 when something failed, and a dash where there is nothing to say. */
export function formatShare(share: number | null): string {
  return share === null ? '–' : `${Math.floor(share * 1_000) / 10} %`;
}

const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];

/** `512 B`, `1.5 MiB`. */
export function formatBytes(bytes: number): string {
  const unit = Math.min(UNITS.length - 1, bytes < 1 ? 0 : Math.floor(Math.log2(bytes) / 10));
  const value = bytes / 1024 ** unit;
  return `${unit === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${UNITS[unit] ?? ''}`;
}
