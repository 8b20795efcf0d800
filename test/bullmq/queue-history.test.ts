import t from 'tap'
import { toMinutes } from '../../src/bullmq/statistics/queue-history.js'
import { buildTestApp } from '../helpers/build-test-app.js'

const minute = 60_000
const now = Date.parse('2026-11-24T09:05:30.000Z')
const at = (time: string) => Date.parse(`2026-11-24T${time}Z`)

t.test('minutes are told oldest first, whenever BullMQ last wrote one down', async (t) => {
  const metrics = (prevTS: number, count: number, prevCount: number, data: number[]) => ({
    meta: { prevTS, count, prevCount },
    data,
    count: data.length,
  })
  t.same(toMinutes(metrics(0, 0, 0, []), 3, now), [0, 0, 0], 'a queue that never finished a job')
  t.same(toMinutes(metrics(at('09:05:01.000'), 9, 7, [4, 0, 3]), 5, now), [0, 3, 0, 4, 2], 'a job finished in this minute')
  t.same(toMinutes(metrics(at('09:03:59.999'), 9, 7, [4, 3]), 5, now), [3, 4, 2, 0, 0], 'the last one finished two minutes ago')
  t.same(toMinutes(metrics(at('08:00:00.000'), 9, 7, [4, 3]), 3, now), [0, 0, 0], 'or long ago')
  t.same(toMinutes(metrics(at('09:05:01.000'), 9, 7, [4]), 1, now), [2], 'only the minute under way')
})

t.test('the history of a queue adds up to what was finished', async (t) => {
  const test = await buildTestApp(t)
  const run = async (type: string) => test.finished((await test.submit({ type, data: { label: type } })).json().id)
  const read = async (path: string) => (await test.request({ method: 'GET', url: `/admin/queues/${path}` })).json()
  const { redis, queueKeys } = test.services
  await run('echo')
  await run('echo')
  await run('refuse')
  // As if that had been three minutes ago: the next job writes those minutes down.
  const earlier = Math.floor(Date.now() / minute) * minute - 3 * minute
  await redis.request.hset(queueKeys['external-api'].metricsCompleted, 'prevTS', earlier)
  await run('echo')
  const { completedTotal, failedTotal, history } = await read('external-api/metrics')
  t.same([completedTotal, failedTotal], [3, 1])
  t.equal(history.stepMs, minute)
  t.equal(history.completed.length, 60)
  t.equal(history.failed.length, 60)
  const jobsAt = (time: number) => history.completed[(time - Date.parse(history.from)) / minute]
  t.ok(jobsAt(earlier) >= 1, 'the minute that was over')
  t.equal(
    history.completed.reduce((sum: number, jobs: number) => sum + jobs, 0),
    3,
  )
  t.ok(history.completed.slice(-2).includes(1), 'the minute under way')

  const all = await read('metrics?minutes=5')
  t.same(
    Object.values<typeof all.email>(all).map(({ history }) => [history.completed.length, history.failed.length]),
    [
      [5, 5],
      [5, 5],
      [5, 5],
    ],
  )
  for (const minutes of ['0', '1441', 'x']) {
    t.equal((await test.request({ method: 'GET', url: `/admin/queues/metrics?minutes=${minutes}` })).statusCode, 400, minutes)
  }
})
