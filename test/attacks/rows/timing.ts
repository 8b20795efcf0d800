// Row 23: whether the time of an answer tells what its words do not: an object that is hidden from one that is not there.

import { absentJobId } from '../job-ids.js'
import type { Attack, Row } from '../row.js'
import { submitDelayed } from '../submit.js'
import type { Wire } from '../wire.js'

const rounds = 3000
/** Medians that differ by less tell nobody anything across a network. */
const differenceMaxMs = 0.15
/** Of a rank test: beyond it the difference is more than chance. */
const zMax = 3.3
const pauseEvery = 400

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

/** Asks for one and the other by turns, in an order that changes. */
const compare = async ({ open, check, tried }: Attack, { what, one, other }: Pair): Promise<string> => {
  const wire = open()
  const times: { one: number[]; other: number[] } = { one: [], other: [] }
  for (let round = 0; round < rounds; round++) {
    const order = round % 2 === 0 ? (['one', 'other'] as const) : (['other', 'one'] as const)
    for (const each of order) times[each].push(await time(wire, each === 'one' ? one : other))
    // The limit of a key in one window must not be what is measured.
    if (round % (pauseEvery / 4) === 0) await new Promise((resolve) => setTimeout(resolve, 300))
  }
  tried(rounds * 2)
  wire.close()
  const difference = Math.abs(median(times.one) - median(times.other))
  const z = Math.abs(rankScore(times.one, times.other))
  check(`${what}: medians differ by ${difference.toFixed(3)} ms, rank score ${z.toFixed(1)}`, difference < differenceMaxMs || z < zMax)
  return `${what} ${difference.toFixed(3)} ms`
}

export const timing: Row = {
  id: 'timing',
  title: 'Times of answers about hidden, foreign and absent objects, and about keys',
  matrix: 23,
  async run(attack) {
    const { red, blue, redTypes } = attack.world.keys
    const foreign = await submitDelayed(attack, blue.all, 'timing')
    const hidden = await submitHidden(attack, red.all)
    const absent = absentJobId('ext')
    const pairs: readonly Pair[] = [
      { what: 'foreign and absent jobs', one: request(`/v1/jobs/${foreign}`, red.read), other: request(`/v1/jobs/${absent}`, red.read) },
      { what: 'hidden and absent jobs', one: request(`/v1/jobs/${hidden}`, redTypes), other: request(`/v1/jobs/${absent}`, redTypes) },
    ]
    const found: string[] = []
    for (const pair of pairs) found.push(await compare(attack, pair))
    return found.join(', ')
  },
}
