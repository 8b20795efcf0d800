// Row 23: whether the time of an answer tells what its words do not: an object that is hidden from one that is not there.

import { absentJobId } from '../job-ids.js'
import { issueKey } from '../keys.js'
import type { Attack, Row } from '../row.js'
import { plainJob, submitDelayed, submitHidden } from '../submit.js'
import type { Wire } from '../wire.js'

const rounds = 2500
/** Medians that differ by less tell nobody anything across a network. */
const differenceMaxMs = 0.15
/** Of a rank test: beyond it the difference is more than chance. */
const zMax = 3.3
/** Below the limit of failures by address, whatever the pace. */
const roundsPerWire = 250
let nextAddress = 0

interface Pair {
  readonly what: string
  readonly one: string
  readonly other: string
}

const request = (path: string, key: string) => `GET ${path} HTTP/1.1\r\nHost: gateway\r\nAuthorization: Bearer ${key}\r\n\r\n`

const time = async (wire: Wire, bytes: string): Promise<number> => {
  const start = performance.now()
  wire.send(bytes)
  const answer = await wire.next()
  if (!answer || answer.status === 429) throw new Error(`an answer of ${answer?.status} tells no time`)
  return performance.now() - start
}

const median = (values: readonly number[]): number => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] as number

/** The standard score of the rank sum of Mann and Whitney: 0 when neither is slower. */
export const rankScore = (one: readonly number[], other: readonly number[]): number => {
  const all = [...one.map((value) => ({ value, isOne: true })), ...other.map((value) => ({ value, isOne: false }))].sort(
    (a, b) => a.value - b.value,
  )
  const ranks = all.reduce((sum, { isOne }, rank) => sum + (isOne ? rank + 1 : 0), 0)
  const [n, m] = [one.length, other.length]
  return (ranks - (n * (n + m + 1)) / 2) / Math.sqrt((n * m * (n + m + 1)) / 12)
}

/** Asks for one and the other by turns, in an order that changes; over several connections, so that no limit by address is met. */
const compare = async ({ open, check, tried }: Attack, { what, one, other }: Pair): Promise<string> => {
  const times: { one: number[]; other: number[] } = { one: [], other: [] }
  for (let round = 0; round < rounds; ) {
    const wire = open({ from: `127.0.3.${1 + (nextAddress++ % 250)}` })
    for (let n = 0; n < roundsPerWire; n++, round++) {
      const order = round % 2 === 0 ? (['one', 'other'] as const) : (['other', 'one'] as const)
      for (const each of order) times[each].push(await time(wire, each === 'one' ? one : other))
    }
    wire.close()
  }
  tried(rounds * 2)
  const difference = Math.abs(median(times.one) - median(times.other))
  const z = Math.abs(rankScore(times.one, times.other))
  check(`${what}: medians differ by ${difference.toFixed(3)} ms, rank score ${z.toFixed(1)}`, difference < differenceMaxMs || z < zMax)
  return `${what} ${difference.toFixed(3)} ms`
}

/** A key of this tenant that no limit of its own slows down. */
const issueFast = async ({ world }: Attack, more: object) =>
  (await issueKey(world.url, world.keys.admin, { name: 'timing', tenant: 'red', scopes: ['jobs:read'], rateLimitMax: 1_000_000, ...more }))
    .key

export const timing: Row = {
  id: 'timing',
  title: 'Times of answers about hidden, foreign and absent objects, and about keys',
  matrix: 23,
  async run(attack) {
    const { red, blue } = attack.world.keys
    const [all, limited] = [await issueFast(attack, {}), await issueFast(attack, { types: ['process-webhook'] })]
    const foreign = await submitDelayed(attack, blue.all, 'timing')
    const hidden = await submitHidden(attack, red.all)
    const { client } = attack
    const schedule = { ...plainJob('timing'), cron: '0 0 1 1 *' }
    await client.send({ method: 'PUT', path: '/v1/schedules/timing-foreign', key: blue.all, body: schedule })
    const wrongSecret = `${all.slice(0, -1)}${all.endsWith('A') ? 'B' : 'A'}`
    const unknownId = `jg_${'0'.repeat(16)}_${all.slice(20)}`
    const about = (path: string, key: string) => request(path, key)
    const pairs: readonly Pair[] = [
      { what: 'foreign and absent jobs', one: about(`/v1/jobs/${foreign}`, all), other: about(`/v1/jobs/${absentJobId('ext')}`, all) },
      {
        what: 'hidden and absent jobs',
        one: about(`/v1/jobs/${hidden}`, limited),
        other: about(`/v1/jobs/${absentJobId('mail')}`, limited),
      },
      {
        what: 'foreign and absent schedules',
        one: about('/v1/schedules/timing-foreign', all),
        other: about('/v1/schedules/timing-missing', all),
      },
      { what: 'wrong secrets and unknown keys', one: about('/v1/jobs', wrongSecret), other: about('/v1/jobs', unknownId) },
    ]
    const found: string[] = []
    for (const pair of pairs) found.push(await compare(attack, pair))
    return found.join(', ')
  },
}
