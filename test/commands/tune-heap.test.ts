// What dies young must not get into the old generation: there it would keep what it refers to.

import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import t from 'tap'
import { childEnvironment } from '../helpers/child-environment.js'

const run = promisify(execFile)
const tuneHeap = new URL('../../src/commands/tune-heap.ts', import.meta.url).href

/** Makes objects that stay, at a place that then goes on with objects that do not; prints by how many bytes the old generation grew. */
const toProgram = (first: string) => `
import { getHeapSpaceStatistics } from 'node:v8'
import { tuneHeap } from ${JSON.stringify(tuneHeap)}
${first}
const old = () => getHeapSpaceStatistics().find((space) => space.space_name === 'old_space').space_used_size
const make = (n) => [n + 'more than a dozen characters', n]
const kept = []
for (let n = 0; n < 1_000_000; n++) kept.push(make(n))
kept.length = 0
const underWay = new Array(64).fill(null)
let last = old()
let grown = 0
for (let n = 0; n < 3_000_000; n++) {
  underWay[n % 64] = make(n)
  if (n % 1000 === 0) {
    const now = old()
    if (now > last) grown += now - last
    last = now
  }
}
console.log(grown)
`

const grownBytes = async (first: string): Promise<number> => {
  const args = ['--import', 'tsx', '--input-type=module', '--eval', toProgram(first)]
  const { stdout } = await run(process.execPath, args, { env: childEnvironment() })
  return Number(stdout)
}

t.test('objects that are forgotten at once do not reach the old generation, as they do without it', async (t) => {
  const [plain, tuned] = [await grownBytes(''), await grownBytes('tuneHeap()')]
  t.ok(tuned < plain / 4, `${tuned} bytes instead of ${plain}`)
})
