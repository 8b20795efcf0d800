// Plain tables for people: columns in line, nothing that a terminal would act upon.

/** Text without control characters: they would move the cursor or color the screen. */
export const toPrintable = (value: unknown): string =>
  (typeof value === 'string' ? value : value === null || value === undefined ? '-' : JSON.stringify(value)).replace(/[\p{Cc}\p{Cf}]/gu, ' ')

/** A head and rows. Columns of numbers are set right. */
export const toTable = (head: readonly string[], rows: readonly (readonly unknown[])[]): string => {
  const cells = [head, ...rows.map((row) => row.map(toPrintable))]
  const widths = head.map((_, column) => Math.max(...cells.map((row) => row[column]?.length ?? 0)))
  const isNumeric = head.map((_, column) => rows.length > 0 && rows.every((row) => typeof row[column] === 'number'))
  const toLine = (row: readonly string[]) =>
    row.map((cell, column) => (isNumeric[column] ? cell.padStart(widths[column] ?? 0) : cell.padEnd(widths[column] ?? 0))).join('  ')
  return cells.map((row) => toLine(row).trimEnd()).join('\n')
}

/** Names beside their values, one a line; what is null is left out. */
export const toList = (entries: Readonly<Record<string, unknown>>): string => {
  const shown = Object.entries(entries).filter(([, value]) => value !== null && value !== undefined)
  const width = Math.max(0, ...shown.map(([name]) => name.length))
  return shown.map(([name, value]) => `${name.padEnd(width)}  ${toPrintable(value)}`).join('\n')
}
