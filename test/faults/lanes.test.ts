// Rows that run side by side: each is run once, those that are to be alone are, and a process that dies is missed.

import { join } from 'node:path'
import t from 'tap'
import { runInLanes } from './lanes.js'
import type { Row } from './world.js'

const program = `
const id = process.argv.at(-1)
if (id === 'dies') process.exit(3)
const from = Date.now()
setTimeout(() => process.send({ id, args: process.argv.slice(2), from, to: Date.now() }, () => process.exit()), 50)
`

interface Found {
  readonly id: string
  readonly args: readonly string[]
  readonly from: number
  readonly to: number
}

const row = (id: string, alone = false): Row => ({ id, fault: id, ...(alone ? { alone: true as const } : {}), run: async () => {} })

t.test('rows run in processes of their own', async (t) => {
  const dir = t.testdir({ 'row.mjs': program })
  const errors = t.capture(console, 'error')
  const rows = [row('1'), row('2', true), row('3'), row('dies'), row('4', true)]
  const found = await runInLanes<Found>(rows, join(dir, 'row.mjs'), ['--seeds', '2'])

  t.same(found.map(({ id }) => id).toSorted(), ['1', '2', '3', '4'], 'each but the one that died told what it found')
  t.match(errors()[0]?.args[0], /row dies: its process ended with 3/)
  t.same(found[0]?.args.slice(0, 2), ['--seeds', '2'], 'options are handed on')
  for (const { id } of rows.filter(({ alone }) => alone)) {
    const own = found.find((each) => each.id === id) as Found
    const beside = found.filter((each) => each !== own && each.from < own.to && each.to > own.from)
    t.same(beside, [], `${id} ran alone`)
  }
})
