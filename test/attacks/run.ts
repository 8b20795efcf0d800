// `npm run test:attacks`: attacks a started gateway in every way we know, and prints what held.
// Options: --only <ids>, --quick (the half that every change must pass), --list, --tap <file> (results for scripts/test-counts.mjs).

import { parseArgs } from 'node:util'
import { printTable } from '../helpers/print-table.js'
import type { Row } from './row.js'
import { rows as all } from './rows.js'
import { type RowResult, runRow } from './run-row.js'
import { writeTap } from './tap.js'
import { openWorld, type World } from './world.js'

const { values } = parseArgs({
  options: {
    only: { type: 'string' },
    quick: { type: 'boolean', default: false },
    list: { type: 'boolean', default: false },
    tap: { type: 'string' },
  },
})

// Between the lines of the attacks it would be taken for one of their results.
process.env['AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED'] = 'true'

const named = values.only?.split(',')
const rows = all.filter((row) => (named ? named.includes(row.id) : !values.quick || row.quick))
const unknown = named?.filter((id) => !all.some((row) => row.id === id)) ?? []
if (unknown.length > 0) {
  console.error(`There is no ${unknown.join(', ')}. Known: ${all.map(({ id }) => id).join(', ')}`)
  process.exit(2)
}
if (values.list) {
  printTable(
    ['id', 'attack', 'quick'],
    rows.map(({ id, title, quick }) => [id, title, quick ? 'yes' : '']),
  )
  process.exit(0)
}

/** Whatever ends this process ends what it started. */
const open = new Set<World>()
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, async () => {
    for (const world of open) await world.close()
    process.exit(1)
  })
}

const withWorld = async <T>(settings: Row['gateway'], use: (world: World) => Promise<T>): Promise<T> => {
  const world = await openWorld(settings)
  open.add(world)
  try {
    return await use(world)
  } finally {
    open.delete(world)
    await world.close()
  }
}

const tell = (result: RowResult, startedAt: number) => {
  const { id, title, failures, figure, good, backMs, peakMiB } = result
  console.log(`${failures.length === 0 ? 'held  ' : 'FAILED'} ${id}, ${Math.round((Date.now() - startedAt) / 100) / 10} s: ${title}`)
  if (figure !== '') console.log(`         ${figure}`)
  console.log(
    `         good client: ${good.requests} requests, ${good.errors} errors, p50 ${good.p50Ms} ms, p99 ${good.p99Ms} ms, longest ${good.maxMs} ms; at most ${peakMiB} MiB more memory, as before after ${backMs} ms`,
  )
  for (const failure of failures) console.log(`       ! ${failure}`)
}

const results: RowResult[] = []
const run = async (row: Row, world: World) => {
  const startedAt = Date.now()
  const result = await runRow(row, world, values.quick)
  results.push(result)
  tell(result, startedAt)
}

const start = Date.now()
// Those with the same settings share a gateway, one after the other.
for (const settings of new Set(rows.map(({ gateway }) => gateway))) {
  await withWorld(settings, async (world) => {
    for (const row of rows.filter(({ gateway }) => gateway === settings)) await run(row, world)
  })
}

const orderOf = (id: string) => all.findIndex((row) => row.id === id)
console.log()
printTable(
  ['attack', 'tried', 'held', 'figure', 'good client p99', 'memory', 'as before after'],
  results
    .toSorted((a, b) => orderOf(a.id) - orderOf(b.id))
    .map(({ id, title, tried, failures, figure, good, backMs, peakMiB }) => [
      `${title} (\`${id}\`)`,
      tried,
      failures.length === 0 ? 'yes' : '**no**',
      figure,
      `${good.p99Ms} ms`,
      `+${peakMiB} MiB`,
      `${Math.round(backMs / 100) / 10} s`,
    ]),
)
const failed = results.filter(({ failures }) => failures.length > 0).length
console.log(`\n${results.length - failed} of ${results.length} attacks held, in ${Math.round((Date.now() - start) / 1000)} s`)
if (values.tap) writeTap(values.tap, results)
process.exit(failed > 0 ? 1 : 0)
