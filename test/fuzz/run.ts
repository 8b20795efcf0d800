// `npm run test:fuzz`: requests made from the OpenAPI document, for every operation, against a started gateway.
// Options: --runs N, --seed N (replays one), --only submitJob,getJob.

import { mkdirSync, writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import fc from 'fast-check'
import { type Operation, operations } from './document.js'
import { type Plan, planFor } from './requests.js'
import { judge } from './verdict.js'
import { type Lane, openLane, toCurl, type WireRequest } from './wire.js'
import { openWorld } from './world.js'

const { values } = parseArgs({
  options: {
    runs: { type: 'string', default: '20000' },
    seed: { type: 'string' },
    only: { type: 'string' },
    /** Where the counts go as TAP. */
    output: { type: 'string', default: '.tap/fuzz.tap' },
  },
})
const runs = Number(values.runs)
const seed = values.seed === undefined ? Math.floor(Math.random() * 2 ** 31) : Number(values.seed)
const names = values.only?.split(',')
const chosen = operations.filter(({ id }) => names?.includes(id) ?? true)
if (chosen.length === 0 || !Number.isInteger(runs) || !Number.isInteger(seed)) {
  console.error(`Usage: npm run test:fuzz -- [--runs N] [--seed N] [--only ${operations.map(({ id }) => id).join(',')}]`)
  process.exit(2)
}

/** Requests in flight. */
const lanesCount = 12
/** Operations take turns, each so many requests. */
const turnRuns = 25
/** Also on a machine that does other work. */
const deadlineMs = 30_000
const simplifyMs = 20_000
const failuresPerOperationMax = 3
/** From here on every operation has succeeded at least once. */
const meaningfulRuns = 200

interface Failure {
  readonly operation: Operation
  readonly message: string
  readonly plan: Plan
  readonly request: WireRequest
}

interface Tally {
  requests: number
  readonly byStatus: Map<number, number>
  readonly byFlavor: Record<Plan['flavor'], number>
  readonly failures: Map<string, Failure>
}

const tallies = new Map<string, Tally>(
  chosen.map(({ id }) => [id, { requests: 0, byStatus: new Map(), byFlavor: { valid: 0, broken: 0, hostile: 0 }, failures: new Map() }]),
)
const plans = new Map(chosen.map((operation) => [operation.id, planFor(operation)]))
const tallyOf = ({ id }: Operation): Tally => tallies.get(id) as Tally
/** Failures that differ in their numbers and names only are one. */
const toSignature = (message: string): string => (message.split('\n', 1)[0] as string).replace(/[\d"'`][\w-]*/g, '#').slice(0, 120)

console.log(`seed ${seed}: ${runs} requests, ${chosen.length} operations, ${lanesCount} at once`)
const started = Date.now()
const world = await openWorld()
const saidAtStart = world.gateway.output().length
/** Whatever ends this process ends what it started. */
for (const signal of ['SIGINT', 'SIGTERM', 'uncaughtException', 'unhandledRejection'] as const) {
  process.once(signal, async (reason: unknown) => {
    console.error(reason)
    await world.close()
    process.exit(1)
  })
}
const lanes = Array.from({ length: lanesCount }, () => openLane(world.gateway.port))

/** Sends what is planned; what is wrong with the answer, or null. */
const attempt = async (operation: Operation, plan: Plan, lane: Lane): Promise<Failure | null> => {
  const tally = tallyOf(operation)
  tally.requests++
  tally.byFlavor[plan.flavor]++
  const request = world.toRequest(operation, plan)
  try {
    const answer = await lane.send(request, deadlineMs)
    tally.byStatus.set(answer.status, (tally.byStatus.get(answer.status) ?? 0) + 1)
    judge(operation, plan, request, answer)
    world.learn(operation, request, answer)
    return null
  } catch (error) {
    return { operation, message: (error as Error).message, plan, request }
  }
}

/** Some requests of one operation. The first failure of its kind is sent again in simpler forms, for a while; the simplest is kept. */
const takeTurn = async (operation: Operation, turn: number, count: number, lane: Lane): Promise<void> => {
  const { failures } = tallyOf(operation)
  if (failures.size >= failuresPerOperationMax) return
  let simplified: string | null = null
  let giveUpAt = Number.POSITIVE_INFINITY
  const property = fc.asyncProperty(plans.get(operation.id) as fc.Arbitrary<Plan>, async (plan) => {
    if (Date.now() > giveUpAt) return
    const failure = await attempt(operation, plan, lane)
    if (failure === null) return
    const signature = toSignature(failure.message)
    if (simplified === null ? failures.has(signature) : simplified !== signature) return
    if (simplified === null) giveUpAt = Date.now() + simplifyMs
    simplified = signature
    failures.set(signature, failure)
    throw new Error(signature)
  })
  const ownSeed = (seed + turn * 7919 + operations.indexOf(operation) * 104_729) | 0
  await fc.check(property, { seed: ownSeed, numRuns: count })
}

/** Turns in the order in which lanes take them. */
function* turns(): Generator<{ operation: Operation; turn: number; count: number }> {
  const each = Math.ceil(runs / chosen.length)
  for (let turn = 0; turn * turnRuns < each; turn++) {
    for (const operation of chosen) yield { operation, turn, count: Math.min(turnRuns, each - turn * turnRuns) }
  }
}

const reportEveryMs = 30_000
const total = (): number => [...tallies.values()].reduce((sum, { requests }) => sum + requests, 0)
const progress = setInterval(() => {
  const perSecond = Math.round((total() * 1000) / (Date.now() - started))
  console.log(
    `${total()} requests, ${perSecond}/s, ${[...tallies.values()].reduce((sum, { failures }) => sum + failures.size, 0)} failures`,
  )
}, reportEveryMs)

const queue = turns()
await Promise.all(
  lanes.map(async (lane) => {
    for (const { operation, turn, count } of queue) await takeTurn(operation, turn, count, lane)
  }),
)
clearInterval(progress)
for (const lane of lanes) lane.close()

/** Checks of the whole, by name: what is wrong, or null. */
const checkWhole = async (): Promise<Record<string, string | null>> => {
  const isAlive = world.gateway.isAlive()
  const ready = await fetch(`${world.gateway.url}/readyz`).then(
    (answer) => (answer.status === 200 ? null : `answers ${answer.status}`),
    (error: Error) => error.message,
  )
  const status = isAlive ? await world.close() : null
  const lines = world.gateway.output().slice(saidAtStart).split('\n')
  const loud = lines.filter((line) => line !== '' && !/^\{"level":"(?:warn|info)"/.test(line))
  return {
    'the process is alive': isAlive ? null : 'it has ended',
    'it is ready': ready,
    'it stops well': status === 0 ? null : `exit status ${status}`,
    'it logs no error': loud.length === 0 ? null : `${loud.length} lines:\n${loud.slice(0, 20).join('\n')}`,
  }
}
const whole = await checkWhole()

const missingSuccess = (operation: Operation): string | null => {
  const { requests, byStatus } = tallyOf(operation)
  return requests < meaningfulRuns || operation.successes.some((status) => byStatus.has(status)) ? null : 'no request succeeded'
}

const toLine = (operation: Operation): string => {
  const { requests, byStatus, byFlavor } = tallyOf(operation)
  const statuses = [...byStatus].sort(([a], [b]) => a - b).map(([status, count]) => `${status}: ${count}`)
  return `| ${operation.id} | ${requests} | ${byFlavor.valid}/${byFlavor.broken}/${byFlavor.hostile} | ${statuses.join(', ')} |`
}
console.log('\n| Operation | Requests | Valid/nearly/hostile | Statuses |\n|---|---|---|---|')
for (const operation of chosen) console.log(toLine(operation))

const results: (readonly [name: string, fault: string | null])[] = [
  ...chosen.map((operation) => {
    const { failures } = tallyOf(operation)
    const faults = [...failures.values()].map(
      ({ message, plan, request }) =>
        `${message}\nkey: ${plan.caller}; ${plan.flavor}; --seed ${seed}\n${toCurl(request, world.gateway.url)}`,
    )
    return [operation.id, faults.length > 0 ? faults.join('\n\n') : missingSuccess(operation)] as const
  }),
  ...Object.entries(whole),
]
for (const [name, fault] of results) if (fault !== null) console.log(`\nFAILED ${name}: ${fault}`)
const failed = results.filter(([, fault]) => fault !== null).length
console.log(
  `\nseed ${seed}: ${total()} requests in ${Math.round((Date.now() - started) / 1000)} s, ${failed} of ${results.length} checks failed`,
)

mkdirSync('.tap', { recursive: true })
const tap = results.map(([name, fault], index) => `${fault === null ? 'ok' : 'not ok'} ${index + 1} - fuzz: ${name}`)
writeFileSync(
  values.output,
  [
    `TAP version 14`,
    ...tap,
    `1..${results.length}`,
    `# { total: ${results.length}, pass: ${results.length - failed}, fail: ${failed} }`,
    '',
  ].join('\n'),
)
process.exit(failed > 0 ? 1 : 0)
