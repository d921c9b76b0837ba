/** Lines of text: columns aligned, the first to the left and the others to the right. */
export function table(head, rows) {
  const lines = [head, ...rows].map((line) => line.map(String));
  const widths = head.map((_, column) => Math.max(...lines.map((line) => line[column].length)));
  const shown = lines.map((line) =>
    line.map((cell, i) => (i === 0 ? cell.padEnd(widths[i]) : cell.padStart(widths[i]))).join('   '),
  );
  return [shown[0], '-'.repeat(shown[0].length), ...shown.slice(1)].join('\n');
}

/** A number with about three digits that matter. */
export function short(value) {
  if (value === undefined || value === null || Number.isNaN(value)) return '-';
  if (value >= 100) return Math.round(value).toLocaleString('en-US');
  return value >= 10 ? value.toFixed(1) : value.toFixed(2);
}
