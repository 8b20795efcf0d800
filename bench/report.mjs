// What the benchmark prints and writes: medians with their range, and what they were to reach.

import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

const median = (numbers) => [...numbers].sort((a, b) => a - b)[Math.floor(numbers.length / 2)]

/** 'goal', 'must' or 'below'; nothing for a figure that has no target. */
const judge = ({ values, must, goal, atMost = false }) => {
  if (must === undefined) return ''
  const reached = (target) => (atMost ? median(values) <= target : median(values) >= target)
  if (reached(goal)) return 'goal'
  return reached(must) ? 'must' : 'below'
}

const columns = ['median', 'range', 'must', 'goal', 'reaches']
const widths = [10, 22, 9, 9, 9]
const line = (title, cells) => [title.padEnd(62), ...cells.map((cell, at) => String(cell).padStart(widths[at]))].join(' ').trimEnd()

const toLine = (figure) => {
  const { name, values, digits = 0, must, goal, atMost } = figure
  const fixed = (value) => value.toFixed(digits)
  const range = `${fixed(Math.min(...values))} to ${fixed(Math.max(...values))}`
  const target = (value) => (value === undefined ? '' : `${atMost ? '<= ' : '>= '}${value}`)
  return line(`  ${name}`, [fixed(median(values)), range, target(must), target(goal), judge(figure)])
}

export const printRow = ({ title, figures }) => {
  console.log(`\n${line(title, columns)}`)
  for (const figure of figures) console.log(toLine(figure))
}

/** All rows as JSON, with the medians worked out. Resolves with the file's path. */
export const writeReport = async (about, rows) => {
  const folder = new URL('results/', import.meta.url).pathname
  const path = join(folder, 'bench.json')
  const withMedians = rows.map((row) => ({
    ...row,
    figures: row.figures.map((figure) => ({ ...figure, median: median(figure.values), reaches: judge(figure) })),
  }))
  await mkdir(folder, { recursive: true })
  await writeFile(path, `${JSON.stringify({ ...about, rows: withMedians }, null, 2)}\n`)
  return path
}
