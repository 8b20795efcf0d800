// Results as TAP, for whoever counts tests.

import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import type { RowResult } from './run-row.js'

/** One test for each attack, with what did not hold as its message. */
const toTap = (results: readonly RowResult[]): string => {
  const lines = results.flatMap(({ id, failures }, index) => {
    const line = `${failures.length === 0 ? 'ok' : 'not ok'} ${index + 1} - attacks/${id}`
    return failures.length === 0 ? [line] : [line, '  ---', `  message: ${JSON.stringify(failures.join('; '))}`, '  ...']
  })
  const failed = results.filter(({ failures }) => failures.length > 0).length
  const counts = `# { total: ${results.length}, pass: ${results.length - failed}, fail: ${failed} }`
  return ['TAP version 14', ...lines, `1..${results.length}`, counts, ''].join('\n')
}

export const writeTap = (path: string, results: readonly RowResult[]): void => {
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(path, toTap(results))
}
