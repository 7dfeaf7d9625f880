/** Columns of text. */

/**
 * Rows with their columns aligned by spaces, under a header.
 *
 * @param header - names of the columns; absent: rows only, separated by tabs, for other programs
 */
export function table(rows: readonly (readonly string[])[], header?: readonly string[]): string {
  if (!header) return rows.map((row) => row.join("\t")).join("\n");
  const all = [header, ...rows];
  const widths = header.map((_, column) => Math.max(...all.map((row) => row[column]?.length ?? 0)));
  return all
    .map((row) =>
      row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join("  ")
        .trimEnd(),
    )
    .join("\n");
}

/** A duration as people say it, cut to its largest unit: `12s`, `4m`, `3h`, `2d`. */
export function age(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  if (seconds < 60) return `${seconds}s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)}m`;
  return seconds < 86_400 ? `${Math.floor(seconds / 3600)}h` : `${Math.floor(seconds / 86_400)}d`;
}
