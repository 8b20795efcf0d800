import t from 'tap'
import { buildTestApp } from '../../helpers/build-test-app.js'

t.test('everything known of a job', async (t) => {
  const test = await buildTestApp(t)
  const inspect = (queue: string, id: string) => test.request({ method: 'GET', url: `/admin/queues/${queue}/jobs/${id}` })
  const { key } = (
    await test.request({
      method: 'POST',
      url: '/admin/api-keys',
      payload: { name: 'k', tenant: 'other', scopes: ['jobs:submit', 'jobs:read'] },
    })
  ).json()

  await t.test('200: options, attempts, worker, logs; of any tenant; secrets masked', async (t) => {
    const { id } = (
      await test.request({
        method: 'POST',
        url: '/v1/jobs',
        key,
        payload: { type: 'progress', data: { label: 'x', secret: 'hunter2' }, options: { timeoutMs: 5000, expiresInMs: 60_000 } },
      })
    ).json()
    await test.request({ method: 'GET', url: `/v1/jobs/${id}?waitMs=20000`, key })
    const answer = await inspect('external-api', id)
    t.equal(answer.statusCode, 200)
    t.match(answer.json(), {
      job: { id, state: 'completed', data: { label: 'x', secret: '***' } },
      tenant: 'other',
      options: { attempts: 3, backoff: { type: 'fixed', delayMs: 10 }, delayMs: 0, timeoutMs: 5000, expiresAt: /Z$/ },
      attemptsStarted: 1,
      stalled: 0,
      deferrals: 0,
      worker: test.config.instanceId,
      lockMs: null,
      retriedAt: null,
      earlierRuns: [],
      logs: ['half way'],
      logsTotal: 1,
    })
    t.notMatch(answer.body, 'hunter2')
  })

  await t.test('200: a running job has a lock; a deferred one says so', async (t) => {
    const running = (await test.submit({ type: 'block', data: { label: 'lock' } })).json().id
    await test.probes.started('lock')
    t.ok((await inspect('external-api', running)).json().lockMs > 0)
    test.probes.release('lock')
    const later = (await test.submit({ type: 'later', data: { label: 'later' } })).json().id
    await test.finished(later)
    t.match((await inspect('external-api', later)).json(), { deferrals: 1, attemptsStarted: 2 })
  })

  await t.test('200: of a long log the newest lines, oldest first', async (t) => {
    const { id } = (await test.submit({ type: 'echo', data: { label: 'l' } })).json()
    await test.finished(id)
    const { redis, queueKeys } = test.services
    for (let at = 0; at < 205; at++) await redis.request.rpush(`${queueKeys['external-api'].job(id)}:logs`, `line ${at}`)
    const { logs, logsTotal } = (await inspect('external-api', id)).json()
    t.equal(logsTotal, 205)
    t.equal(logs.length, 200)
    t.same([logs[0], logs.at(-1)], ['line 5', 'line 204'])
  })

  await t.test('404', async (t) => {
    const { id } = (await test.submit({ type: 'echo', data: { label: 'n' } })).json()
    for (const [queue, job] of [
      ['email', id],
      ['nope', id],
      ['external-api', 'ext_3q2AMb1cT7mR0wZk9vYxFg'],
      ['external-api', 'meta'],
      ['external-api', 'wait'],
    ] as const)
      t.equal((await inspect(queue, job)).statusCode, 404, `${queue} ${job}`)
  })
})
