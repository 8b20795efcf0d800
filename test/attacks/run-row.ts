// Runs one attack, and judges it: what it found itself, what the good client saw, and whether the gateway is as before.

import { setTimeout as pause } from 'node:timers/promises'
import { createClient } from './client.js'
import { backWithinMs, readBaseline, untilAsBefore, watchMemory } from './gateway-state.js'
import type { GoodReport } from './good-client.js'
import type { Attack, Row } from './row.js'
import { openWire } from './wire.js'
import type { World } from './world.js'

/** What becomes a line of the table. */
export interface RowResult {
  readonly id: string
  readonly title: string
  readonly tried: number
  readonly failures: readonly string[]
  readonly figure: string
  readonly good: GoodReport
  readonly backMs: number
  /** How much more memory the gateway had than before, at most. */
  readonly peakMiB: number
}

/** Promised to good clients while an attack lasts. */
const p99LimitMs = 250
/** In the quick form others may use the same processors: only what hangs is a failure. */
const p99QuickLimitMs = 5000
/** Whatever is sent, memory stays bounded. */
const peakLimitMiB = 256
const failuresKept = 12
/** Behind an attack that shut everybody out, the good client is asked this often whether it sees errors still. */
const calmMs = 1000

/** Never rejects for what the attack does to the gateway: that is what it finds. */
export const runRow = async (row: Row, world: World, isQuick: boolean): Promise<RowResult> => {
  const failures: string[] = []
  const check = (what: string, holds: boolean) => {
    if (!holds) failures.push(what)
  }
  const { attack, end } = createAttack(world, isQuick, check)
  const before = await readBaseline(world)
  await world.good.report()
  const memory = watchMemory(world.pid)
  const figure = await row.run(attack).catch((error: Error) => {
    failures.push(error.stack ?? String(error))
    return ''
  })
  const peakMiB = Math.max(0, (await memory.stop()) - before.residentMiB)
  check(`the gateway had ${peakMiB} MiB more meanwhile`, peakMiB <= peakLimitMiB)
  await end()
  const back = await untilAsBefore(world, before)
  for (const each of back.left) check(`not as before after ${backWithinMs / 1000} s: ${each}`, false)
  const good = await world.good.report()
  if (row.disrupts) check('the good client still sees errors', await isCalm(world))
  else judgeGood(good, isQuick, check)
  for (const fault of world.log.takeFaults()) check(fault, false)
  check(`the gateway has died; its last lines:\n${world.log.tail().slice(-5).join('\n')}`, world.isAlive())
  return { id: row.id, title: row.title, tried: attack.count(), failures: shorten(failures), figure, good, backMs: back.backMs, peakMiB }
}

const createAttack = (world: World, isQuick: boolean, check: Attack['check']) => {
  const undone: (() => unknown)[] = []
  let count = 0
  const client = createClient(world.url)
  const attack: Attack & { count(): number } = {
    world,
    isQuick,
    client,
    check,
    tried: (more = 1) => {
      count += more
    },
    count: () => count,
    open(options) {
      const wire = openWire(options?.port ?? world.port, options)
      undone.push(wire.close)
      return wire
    },
    after: (undo) => void undone.push(undo),
  }
  const end = async () => {
    for (const undo of undone.reverse()) await undo()
    await client.close()
  }
  return { attack, end }
}

const judgeGood = ({ errors, requests, examples, p99Ms }: GoodReport, isQuick: boolean, check: Attack['check']) => {
  check(`the good client saw ${errors} errors in ${requests} requests: ${examples.join('; ')}`, errors === 0)
  check(`the good client's p99 is ${p99Ms} ms`, p99Ms <= (isQuick ? p99QuickLimitMs : p99LimitMs))
}

/** Whether a good client is served again in time. */
const isCalm = async ({ good }: World): Promise<boolean> => {
  for (const until = Date.now() + backWithinMs; Date.now() < until; ) {
    await good.report()
    await pause(calmMs)
    const { errors, requests } = await good.report()
    if (errors === 0 && requests > 0) return true
  }
  return false
}

const shorten = (failures: readonly string[]): string[] =>
  failures.length <= failuresKept ? [...failures] : [...failures.slice(0, failuresKept), `and ${failures.length - failuresKept} more`]
