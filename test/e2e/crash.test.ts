// Gateways that die in the middle: nothing accepted is lost, nothing is accepted twice.

import t from 'tap'
import { eventually } from '../helpers/eventually.js'
import { type Answer, type Client, createClient } from '../helpers/http-client.js'
import { startOwnRedis } from '../helpers/own-redis.js'
import { createDataDir, type ProbeProcess, startProbeGateway, startProbeWorker } from '../helpers/start-probe-process.js'

const submissions = 200
const rounds = 3
const deadlineMs = 60_000

const seed = Number(process.env['TEST_SEED'] ?? Math.floor(Math.random() * 2 ** 31))
t.comment(`TEST_SEED=${seed}`)

/** mulberry32: numbers from 0 to 1 that a seed repeats. */
const createRandom = (state: number) => () => {
  state = (state + 0x6d2b79f5) | 0
  let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
  mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
  return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
}
const random = createRandom(seed)
const below = (limit: number) => Math.floor(random() * limit)

const turn = () => new Promise((resolve) => setImmediate(resolve))

/** Sends all keys and kills the gateway after a random answer, a random number of turns later. Null where no answer came. */
const sendAndKill = async (client: Client, gateway: ProbeProcess, labels: readonly string[]): Promise<(Answer | null)[]> => {
  const fatal = below(labels.length)
  const turns = below(50)
  let answered = 0
  let killed: Promise<unknown> | undefined
  const answers = await Promise.all(
    labels.map(async (label) => {
      const answer = await client.submit('echo', label, { key: label }).catch(() => null)
      if (++answered <= fatal || killed) return answer
      killed = (async () => {
        for (let count = 0; count < turns; count++) await turn()
        await gateway.kill()
      })()
      return answer
    }),
  )
  await killed
  return answers
}

const toIds = (answers: readonly (Answer | null)[]) => answers.map((answer) => (answer?.status === 202 ? (answer.body.id as string) : null))

t.test('SIGKILL of the gateway while 200 submissions are under way', async (t) => {
  const { dataDir, runs } = await createDataDir(t)
  for (let round = 1; round <= rounds; round++) {
    await t.test(`round ${round}: its Redis goes with it`, async (t) => {
      const labels = Array.from({ length: submissions }, (_, index) => `round ${round} job ${index}`)
      const first = await startProbeGateway(t, { dataDir })
      const early = toIds(await sendAndKill(createClient(t, first.url), first, labels))
      t.comment(`${early.filter(Boolean).length} of ${submissions} were answered`)

      const second = await startProbeGateway(t, { dataDir, env: { WORKERS_ENABLED: 'true', QUEUE_CONCURRENCY_EXTERNAL_API: '10' } })
      const client = createClient(t, second.url)
      const answers = await Promise.all(labels.map((label) => client.submit('echo', label, { key: label })))
      const ids = toIds(answers)
      t.same([...new Set(answers.map(({ status }) => status))], [202])
      t.equal(new Set(ids).size, submissions, 'as many jobs as keys')
      t.same(
        early.map((id, index) => id ?? ids[index]),
        ids,
        'who had an answer gets the same job again',
      )
      await eventually('all have run', async () => (await runs.startsById()).size >= submissions * round, deadlineMs)
      t.equal(await second.close(), 0)
      const starts = await runs.startsById()
      t.same(
        ids.filter((id) => starts.get(id as string) !== 1),
        [],
        'each ran exactly once',
      )
      t.equal(starts.size, submissions * round, 'and nothing else ran')
    })
  }
})

t.test('SIGKILL of the gateway while Redis and a worker go on', async (t) => {
  const { dataDir, runs } = await createDataDir(t)
  const redis = await startOwnRedis(t, dataDir)
  const env = { REDIS_URL: redis.url, QUEUE_CONCURRENCY_EXTERNAL_API: '10' }
  await startProbeWorker(t, { dataDir, env })
  const labels = Array.from({ length: submissions }, (_, index) => `job ${index}`)
  const first = await startProbeGateway(t, { dataDir, env })
  const early = toIds(await sendAndKill(createClient(t, first.url), first, labels))

  const second = await startProbeGateway(t, { dataDir, env })
  const client = createClient(t, second.url)
  const answers = await Promise.all(labels.map((label) => client.submit('echo', label, { key: label })))
  const ids = toIds(answers)
  t.equal(new Set(ids).size, submissions)
  t.same(
    early.map((id, index) => id ?? ids[index]),
    ids,
  )
  await Promise.all(ids.map(async (id) => t.match(await client.finished(id as string), { state: 'completed' })))
  const starts = await runs.startsById()
  t.equal(starts.size, submissions)
  t.ok(
    [...starts.values()].every((count) => count === 1),
    'each ran exactly once',
  )
})
