// Tables for people who run a suite by hand, in Markdown, so that they can go into a page as they are.

/** All cells of a column get the width of its longest. */
export const printTable = (head: readonly string[], rows: readonly (readonly (string | number)[])[]): void => {
  const table = [head, ...rows].map((line) => line.map(String))
  const widths = head.map((_, column) => Math.max(...table.map((line) => (line[column] as string).length)))
  const print = (line: readonly string[]) => console.log(`| ${line.map((cell, at) => cell.padEnd(widths[at] as number)).join(' | ')} |`)
  print(table[0] as string[])
  console.log(`|${widths.map((width) => '-'.repeat(width + 2)).join('|')}|`)
  for (const line of table.slice(1)) print(line)
}
