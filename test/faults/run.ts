// `npm run test:faults`: breaks what Jobgate promises on purpose, row by row, and tells what held.
// Options: --seeds N, --seed S (replays one), --only 4,5, --short (the form for every change), --backlog N (jobs, row 18),
// --soak-minutes N (row 30), --schedule-seconds N (row 31).

import { parseArgs } from 'node:util'
import { printTable } from '../helpers/print-table.js'
import { runInLanes } from './lanes.js'
import { backlogRow } from './rows/backlog.js'
import { cancelRow } from './rows/cancel.js'
import { clockRow } from './rows/clock.js'
import { gatewayRows } from './rows/gateway.js'
import { keyRows } from './rows/keys.js'
import { modeRows } from './rows/modes.js'
import { overloadRow } from './rows/overload.js'
import { redisRows } from './rows/redis.js'
import { schedulesRow } from './rows/schedules.js'
import { soakRow } from './rows/soak.js'
import { typesRow } from './rows/types.js'
import { workerRows } from './rows/workers.js'
import { createWorld, type Row, type World } from './world.js'

const { values } = parseArgs({
  options: {
    seeds: { type: 'string' },
    seed: { type: 'string' },
    only: { type: 'string' },
    short: { type: 'boolean', default: false },
    'soak-minutes': { type: 'string' },
    'schedule-seconds': { type: 'string' },
    backlog: { type: 'string' },
  },
})

const numberOf = (name: 'soak-minutes' | 'schedule-seconds' | 'backlog', unit = 1): number | undefined =>
  values[name] === undefined ? undefined : Number(values[name]) * unit
/** By row. */
const durationsMs: Readonly<Record<string, number | undefined>> = {
  30: numberOf('soak-minutes', 60_000),
  31: numberOf('schedule-seconds', 1000),
}

const seedsDefault = 5
const all = [
  ...keyRows,
  ...gatewayRows,
  ...redisRows,
  ...modeRows,
  ...workerRows,
  clockRow,
  backlogRow,
  overloadRow,
  soakRow,
  schedulesRow,
  cancelRow,
  typesRow,
].sort((a, b) => Number.parseInt(a.id, 10) - Number.parseInt(b.id, 10) || a.id.localeCompare(b.id))
const named = values.only?.split(',')
const rows = all.filter((row) =>
  named ? named.some((name) => row.id === name || row.id.replace(/\D+$/, '') === name) : !values.short || row.short,
)
const orderOf = (id: string): number => rows.findIndex((row) => row.id === id)
if (rows.length === 0) {
  console.error(`No such row. Known: ${all.map(({ id }) => id).join(', ')}`)
  process.exit(2)
}

/** Whatever ends this process ends what it started. */
let current: World | undefined
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, async () => {
    await current?.dispose()
    process.exit(1)
  })
}

/** What all runs of one row came to. */
interface Result {
  readonly id: string
  readonly fault: string
  readonly seeds: number
  readonly failed: number
  readonly acknowledged: number
  readonly lost: number
  readonly ranTwice: number
  readonly refused: number
  readonly unknown: number
  readonly gapMs: number
}

const toSeeds = (row: Row): number[] => {
  if (values.seed !== undefined) return [Number(values.seed)]
  const count = row.once || values.short ? 1 : Number(values.seeds ?? seedsDefault)
  return Array.from({ length: count }, () => Math.floor(Math.random() * 2 ** 31))
}

const runRow = async (row: Row): Promise<Result> => {
  let result: Result = {
    id: row.id,
    fault: row.fault,
    seeds: 0,
    failed: 0,
    acknowledged: 0,
    lost: 0,
    ranTwice: 0,
    refused: 0,
    unknown: 0,
    gapMs: 0,
  }
  for (const seed of toSeeds(row)) {
    const start = Date.now()
    const world = await createWorld({
      row: row.id,
      seed,
      short: values.short,
      durationMs: durationsMs[row.id],
      backlog: numberOf('backlog'),
    })
    current = world
    try {
      await row.run(world)
    } catch (error) {
      world.failures.push((error as Error).stack ?? String(error))
    }
    await world.dispose()
    current = undefined
    const { verdict } = world
    const isGood = world.failures.length === 0 && verdict !== undefined
    const lines = [
      `${isGood ? 'ok    ' : 'FAILED'} row ${row.id} --seed ${seed}, ${Math.round((Date.now() - start) / 100) / 10} s: ${row.fault}`,
      ...world.notes.map((text) => `         ${text}`),
      ...world.failures.map((text) => `       ! ${text}`),
    ]
    console.log(lines.join('\n'))
    result = {
      ...result,
      seeds: result.seeds + 1,
      failed: result.failed + (isGood ? 0 : 1),
      acknowledged: result.acknowledged + (verdict?.acknowledged ?? 0),
      lost: result.lost + (verdict?.lost ?? 0),
      ranTwice: result.ranTwice + (verdict?.ranTwice ?? 0),
      refused: result.refused + (verdict?.refused ?? 0),
      unknown: result.unknown + (verdict?.unknown ?? 0),
      gapMs: Math.max(result.gapMs, world.gapMs ?? 0),
    }
  }
  return result
}

const print = (results: readonly Result[]) => {
  const head = ['row', 'fault', 'seeds', 'acknowledged', 'lost', 'run twice', 'refused', 'unknown', 'longest gap', 'result']
  const lines = results.map((each) => [
    each.id,
    each.fault,
    each.seeds,
    each.acknowledged,
    each.lost,
    each.ranTwice,
    each.refused,
    each.unknown,
    `${each.gapMs} ms`,
    each.failed === 0 ? 'ok' : `${each.failed} FAILED`,
  ])
  console.log()
  printTable(head, lines)
}

/** One after the other, in this process. */
const runHere = async (): Promise<Result[]> => {
  const results: Result[] = []
  for (const row of rows) results.push(await runRow(row))
  return results
}

const results =
  values.short || rows.length === 1 ? await runHere() : await runInLanes<Result>(rows, import.meta.filename, process.argv.slice(2))
const code = results.length < rows.length || results.some(({ failed }) => failed > 0) ? 1 : 0
if (process.send) {
  // One row among many: the process that started this one puts the table together.
  process.send(results[0], () => process.exit(code))
} else {
  print(results.toSorted((a, b) => orderOf(a.id) - orderOf(b.id)))
  process.exit(code)
}
