// What workers make of jobs: limits, retries, deferrals, encryption, stops.

import { randomBytes } from 'node:crypto'
import { Queue } from 'bullmq'
import t from 'tap'
import { adminKey, buildTestApp, type TestApp } from '../helpers/build-test-app.js'
import { eventually } from '../helpers/eventually.js'
import { carryOut } from '../helpers/operations.js'

const submitOne = async ({ submit }: TestApp, type: string, label: string, more: object = {}): Promise<string> =>
  (await submit({ type, data: { label }, ...more })).json().id
const stored = ({ services }: TestApp, id: string) => services.queueKeys['external-api'].job(id)
const runsOf = ({ probes }: TestApp, label: string) => probes.runs.filter((run) => run.label === label).length

/** Rewrites the envelope of a job that waits, as if it had been accepted earlier. */
const backdate = async (test: TestApp, id: string, change: Record<string, unknown>, timestamp?: number) => {
  const { request } = test.services.redis
  const key = stored(test, id)
  const envelope = JSON.parse((await request.hget(key, 'data')) as string)
  await request.hset(key, 'data', JSON.stringify({ ...envelope, ...change }))
  if (timestamp !== undefined) await request.hset(key, 'timestamp', timestamp)
}

t.test('limits that keep a job from starting', async (t) => {
  const test = await buildTestApp(t)
  const later = { options: { delayMs: 3_600_000 } }
  const promote = (id: string) => test.request({ method: 'POST', url: `/v1/jobs/${id}/promote` })
  const hour = 3_600_000

  await t.test('expired: not started by then', async (t) => {
    const id = await submitOne(test, 'echo', 'expired', later)
    await backdate(test, id, { expiresAt: Date.now() - 1 })
    await promote(id)
    t.match(await test.finished(id), { state: 'failed', error: { code: 'expired', retryable: false }, attempts: { made: 1 } })
    t.equal(runsOf(test, 'expired'), 0)

    await test.request({ method: 'POST', url: `/v1/jobs/${id}/retry` })
    await eventually('a retry by hand runs however old it is', () => runsOf(test, 'expired') === 1)
    t.match(await test.finished(id), { state: 'completed' })
  })

  await t.test('too_old counts from when the job was due', async (t) => {
    const old = await submitOne(test, 'echo', 'old', later)
    await backdate(test, old, { runAt: Date.now() - 25 * hour }, Date.now() - 26 * hour)
    await promote(old)
    t.match(await test.finished(old), { state: 'failed', error: { code: 'too_old' } })

    const due = await submitOne(test, 'echo', 'due', later)
    await backdate(test, due, { runAt: Date.now() - hour }, Date.now() - 300 * hour)
    await promote(due)
    t.match(await test.finished(due), { state: 'completed' }, 'a job that was delayed for long is not caught')
  })
})

t.test('limits of a job that had started, and of one that is sent back', async (t) => {
  const test = await buildTestApp(t)
  const promote = (id: string) => test.request({ method: 'POST', url: `/v1/jobs/${id}/promote` })
  const hour = 3_600_000
  const read = async (id: string) => (await test.request({ method: 'GET', url: `/v1/jobs/${id}` })).json()
  const untilDeferred = async (id: string) => {
    await eventually('it is deferred', async () => (await read(id)).state === 'delayed')
    return id
  }
  const isOver = { expiresAt: Date.now() - 1 }

  await t.test('what was begun before its time was over is settled after it; what was only deferred is not started', async (t) => {
    const begun = await untilDeferred(await submitOne(test, 'busy', 'begun'))
    const idle = await untilDeferred(await submitOne(test, 'busy', 'idle'))
    for (const id of [begun, idle]) {
      await backdate(test, id, isOver)
      await promote(id)
    }
    t.match(await test.finished(begun), { state: 'completed', result: { isExpired: true } })
    t.match(await test.finished(idle), { state: 'failed', error: { code: 'expired' } })
  })

  await t.test('a job that was deferred for a day had started in time', async (t) => {
    const id = await untilDeferred(await submitOne(test, 'busy', 'day'))
    await backdate(test, id, {}, Date.now() - 26 * hour)
    await promote(id)
    t.match(await test.finished(id), { state: 'completed', result: { isExpired: false } })
  })

  await t.test('a job may defer itself for as long as one may wait; a retry by hand begins anew', async (t) => {
    const id = await untilDeferred(await submitOne(test, 'busy', 'always', { options: { attempts: 1 } }))
    await promote(id)
    await eventually('it is deferred again', async () => runsOf(test, 'always') === 2 && (await read(id)).state === 'delayed')
    await test.services.redis.request.hset(stored(test, id), 'jg:deferredOn', Date.now() - 25 * hour)
    await promote(id)
    t.match(await test.finished(id), { state: 'failed', error: { code: 'handler_error' }, attempts: { made: 1 } })
    await test.request({ method: 'POST', url: `/v1/jobs/${id}/retry` })
    await untilDeferred(id)
  })

  await t.test('sent back in bulk, an old job runs and an expired one does not', async (t) => {
    const later = { options: { delayMs: hour } }
    const old = await submitOne(test, 'echo', 'sent back old', later)
    await backdate(test, old, { runAt: Date.now() - 25 * hour }, Date.now() - 26 * hour)
    const expired = await submitOne(test, 'echo', 'sent back expired', later)
    await backdate(test, expired, isOver)
    for (const id of [old, expired]) await promote(id)
    t.match(await test.finished(old), { error: { code: 'too_old' } })
    t.match(await test.finished(expired), { error: { code: 'expired' } })
    await carryOut(test, 'external-api/retry-failed', {})
    t.match(await test.finished(old), { state: 'completed' })
    await eventually('it has failed again', async () => (await read(expired)).state === 'failed')
    t.equal(runsOf(test, 'sent back expired'), 0)
  })
})

t.test('a child that an operator removed counts as failed, in its place', async (t) => {
  const test = await buildTestApp(t)
  const { id } = (await test.submit({ type: 'many', data: { labels: ['gone', 'stays'] }, options: { delayMs: 60_000 } })).json()
  const { items } = (await test.request({ method: 'GET', url: `/v1/jobs/${id}/children` })).json()
  const [gone, stays] = items.map((child: { id: string }) => child.id)
  const { prefix } = test.services.config.redis
  const queue = new Queue('external-api', { connection: test.services.redis.connect('worker'), prefix })
  t.after(() => queue.close())
  await (await queue.getJob(gone))?.remove()
  await test.request({ method: 'POST', url: `/v1/jobs/${stays}/promote` })
  t.match(await test.finished(id), { state: 'completed', result: { total: 2, failed: 1, codes: ['removed', null] } })
})

t.test('attempts', async (t) => {
  const test = await buildTestApp(t)

  await t.test('a retry follows its backoff until it succeeds', async (t) => {
    const id = await submitOne(test, 'flaky', 'flaky', { options: { attempts: 3, backoff: { type: 'exponential', delayMs: 1 } } })
    t.match(await test.finished(id), { state: 'completed', result: { attempt: 2 }, attempts: { made: 2, max: 3 } })
  })

  await t.test('between attempts a job says why it failed and when it is tried again', async (t) => {
    const hour = 3_600_000
    const id = await submitOne(test, 'flaky', 'when', { options: { backoff: { type: 'fixed', delayMs: hour } } })
    const read = async () => (await test.request({ method: 'GET', url: `/v1/jobs/${id}` })).json()
    await eventually('it has failed once', async () => (await read()).state === 'delayed')
    const { error, runAt, startedAt, createdAt } = await read()
    t.match(error, { code: 'handler_error', message: 'Not yet.', retryable: true })
    const waitsMs = Date.parse(runAt) - Date.parse(startedAt)
    t.ok(waitsMs >= hour && Date.parse(runAt) <= Date.now() + hour, `${waitsMs} ms`)
    t.ok(runAt > createdAt)
    await test.request({ method: 'POST', url: `/v1/jobs/${id}/promote` })
    t.match(await test.finished(id), { state: 'completed', runAt: null }, 'it had no time of its own')
  })

  await t.test('attempts that are used up end the job', async (t) => {
    const { id } = (await test.submit({ type: 'flaky', data: { label: 'hopeless', failures: 9 }, options: { attempts: 2 } })).json()
    t.match(await test.finished(id), { state: 'failed', error: { code: 'handler_error', retryable: true }, attempts: { made: 2, max: 2 } })
    t.equal(runsOf(test, 'hopeless'), 2)
  })

  await t.test('a permanent failure is never retried', async (t) => {
    const id = await submitOne(test, 'refuse', 'refuse')
    t.match(await test.finished(id), { state: 'failed', attempts: { made: 1, max: 3 } })
  })

  await t.test('a deferral uses up no attempt', async (t) => {
    const id = await submitOne(test, 'later', 'later', { options: { attempts: 1 } })
    t.match(await test.finished(id), { state: 'completed', attempts: { made: 1, max: 1 } })
    t.equal(runsOf(test, 'later'), 2)
    const logs = await test.request({ method: 'GET', url: `/v1/jobs/${id}/logs` })
    t.same(logs.json().items, ['Deferred (handler_error): Busy.'], 'and is told in the log of the job')
  })

  await t.test('timeoutMs ends an attempt, obeyed or not', async (t) => {
    for (const type of ['block', 'stubborn']) {
      const id = await submitOne(test, type, `timeout ${type}`, { options: { timeoutMs: 100, attempts: 1 } })
      t.match(await test.finished(id), { state: 'failed', error: { code: 'timed_out', retryable: true } }, type)
      t.equal(test.probes.signalOf(id)?.reason, 'timed_out')
    }
  })

  await t.test('one log line for every attempt, with the correlation id and without data', async (t) => {
    const id = await submitOne(test, 'flaky', 'logged-label', { correlationId: 'corr-1' })
    await test.finished(id)
    const lines = test.logs.filter((line) => line.includes(id) && line.includes('attempt ended')).map((line) => JSON.parse(line))
    t.match(lines, [
      { outcome: 'retrying', code: 'handler_error', attempt: 1, correlationId: 'corr-1', queue: 'external-api', type: 'flaky' },
      { outcome: 'completed', code: null, attempt: 2 },
    ])
    t.notOk(test.logs.some((line) => line.includes('logged-label')))
  })

  await t.test("TRC-2 the caller's trace reaches the attempt", async (t) => {
    const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'
    const { id } = (await test.submit({ type: 'echo', data: { label: 'trace' } }, { traceparent })).json()
    await test.finished(id)
    const line = test.logs.find((each) => each.includes(id) && each.includes('attempt ended')) as string
    t.equal(JSON.parse(line).trace_id, '0af7651916cd43dd8448eb211c80319c')
  })
})

t.test('a job type that the worker does not know fails for good', async (t) => {
  const test = await buildTestApp(t, { env: { WORKERS_ENABLED: 'false' } })
  const id = await submitOne(test, 'echo', 'unknown')
  const other = await buildTestApp(t, { beside: test, types: test.probes.types.filter(({ name }) => name !== 'echo') })
  const answer = await other.app.inject({ url: `/v1/jobs/${id}?waitMs=20000`, headers: { authorization: `Bearer ${adminKey}` } })
  t.match(answer.json(), { state: 'failed', error: { code: 'unknown_job_type' }, data: null })
})

t.test('a worker without the settings says which one is missing', async (t) => {
  const test = await buildTestApp(t, { types: (await import('../../src/builtin/builtin.js')).builtinTypes })
  const { id } = (await test.submit({ type: 'send-verification-email', data: { to: 'a@example.com', verificationCode: '123456' } })).json()
  t.match(await test.finished(id), { state: 'failed', error: { code: 'not_configured', message: /SMTP_URL/, retryable: false } })
})

t.test('DATA_ENCRYPTION_KEY encrypts sensitive members at rest; old keys are still read', async (t) => {
  const [oldKey, newKey] = [randomBytes(32).toString('base64'), randomBytes(32).toString('base64')]
  const writer = await buildTestApp(t, { env: { WORKERS_ENABLED: 'false', DATA_ENCRYPTION_KEY: oldKey } })
  const { id } = (await writer.submit({ type: 'echo', data: { label: 'sealed', secret: 'hunter2' } })).json()
  const raw = JSON.stringify(await writer.services.redis.request.hgetall(stored(writer, id)))
  t.notMatch(raw, 'hunter2')
  t.match(raw, '$encrypted')
  const reader = await buildTestApp(t, { beside: writer, env: { DATA_ENCRYPTION_KEY: `${newKey},${oldKey}` } })
  t.match(await reader.finished(id), { state: 'completed', data: { label: 'sealed', secret: '***' } })
  t.match(reader.probes.runs.find(({ label }) => label === 'sealed')?.data, { secret: 'hunter2' })
})

t.test('a stop releases running jobs, and uses up no attempt', async (t) => {
  const test = await buildTestApp(t, { env: { WORKERS_ENABLED: 'false' } })
  const worker = await buildTestApp(t, { beside: test })
  const ids = [await submitOne(test, 'block', 'obeys'), await submitOne(test, 'stubborn', 'ignores')]
  await Promise.all(['obeys', 'ignores'].map((label) => test.probes.started(label)))
  await worker.app.close()
  await worker.services.close()
  for (const id of ids) {
    const job = (await test.request({ method: 'GET', url: `/v1/jobs/${id}` })).json()
    t.match(job, { state: 'waiting', attempts: { made: 0, max: 3 } })
  }
})
