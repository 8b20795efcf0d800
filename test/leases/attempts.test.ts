// Attempts of leased jobs: cancelled, lost, timed out, retried, and all else as for jobs that run in process.

import t, { type Test } from 'tap'
import { buildTestApp } from '../helpers/build-test-app.js'
import { eventually } from '../helpers/eventually.js'
import { createWorker, expire, type LeaseItem, leasedType, read, submitLeased } from '../helpers/leased-types.js'
import { parsePrometheusText, sampleValue } from '../helpers/prometheus-text.js'
import { parseSse } from '../helpers/read-sse.js'

const queue = 'resize-image'
const width = { width: 640 }
const error = { code: 'image.unreadable', message: 'The image cannot be read.', retryable: true }

const start = async (t: Test, env: Record<string, string> = {}) => {
  const test = await buildTestApp(t, { env: { WORKERS_ENABLED: 'false', ...env } })
  test.services.jobTypes.put(leasedType())
  const worker = createWorker(test)
  return {
    test,
    worker,
    redis: test.services.redis.request,
    cancel: (id: string) => test.request({ method: 'DELETE', url: `/v1/jobs/${id}` }),
    /** Submits a job and leases it. */
    async leased(label: string, more: object = {}, asked: object = {}): Promise<LeaseItem> {
      const id = await submitLeased(test, label, more)
      const [item] = (await worker.lease(asked)) as [LeaseItem]
      if (item.job.id !== id) throw new Error(`leased ${item.job.id}, not ${id}`)
      return item
    },
  }
}

t.test('a cancellation is told with the next heartbeat, and the settlement ends the job as cancelled', async (t) => {
  const { test, worker, cancel, leased } = await start(t)
  for (const [said, status] of [
    [{ outcome: 'completed', result: width }, 200],
    [{ outcome: 'completed', result: { width: 'unfit' } }, 200],
    [{ outcome: 'failed', error: { ...error, code: 'cancelled' } }, 200],
    [{ outcome: 'released' }, 200],
  ] as const) {
    const { lease, expiresAt, job } = await leased('cancelled', {}, { leaseMs: 60_000 })
    t.match((await worker.beat([{ lease }])).json().items, [{ status: 'held' }])
    t.equal((await cancel(job.id)).statusCode, 202)
    const [beat] = (await worker.beat([{ lease, leaseMs: 3_600_000, progress: 50, log: ['stopping'] }])).json().items
    t.equal(beat.status, 'cancelled')
    t.ok(Date.parse(beat.expiresAt) - Date.parse(expiresAt) < 5000, 'not extended')
    t.match((await worker.one(lease, 'heartbeat')).json(), { status: 'cancelled' })
    t.match((await worker.settle({ lease, ...said })).json().items, [{ status, outcome: 'cancelled' }])
    t.match(await read(test, job.id), { state: 'cancelled', progress: 50, result: null })
  }
})

t.test('a worker that never answers: the job is cancelled when its lease ends', async (t) => {
  const { test, cancel, leased } = await start(t)
  const { job } = await leased('silent')
  await cancel(job.id)
  t.match(await read(test, job.id), { state: 'active' })
  await expire(test, job.id)
  t.match(await test.finished(job.id), { state: 'cancelled' })
})

t.test('a lease that expires counts as a lost worker, and fails the job at the cap', async (t) => {
  const { test, worker, leased } = await start(t)
  const first = await leased('lost', {}, { leaseMs: 5000 })
  const { id } = first.job
  await worker.beat([{ lease: first.lease, checkpoint: { page: 7 }, log: ['page 7'] }])
  for (let lost = 1; lost <= 4; lost++) {
    await expire(test, id)
    const [next] = (await worker.lease()) as [LeaseItem]
    t.match(next, { checkpoint: { page: 7 }, job: { id, attempts: { made: 0 } } }, 'no attempt is counted')
  }
  await expire(test, id)
  // Nobody is handed out a job that five workers lost.
  const idle = worker.lease({ waitMs: 10_000 })
  t.match(await test.finished(id), { state: 'failed', error: { code: 'worker_lost' } })
  await submitLeased(test, 'next')
  t.equal((await idle)[0]?.job.data.label, 'next')
  const operators = (await test.request({ method: 'GET', url: `/admin/queues/${queue}/jobs/${id}` })).json()
  t.match(operators, { worker: 'w1' })
  const metrics = parsePrometheusText(await test.services.metrics.render())
  t.equal(sampleValue(metrics, 'jobgate_attempts_total', { type: queue, outcome: 'lost', code: 'lost' }), 5)
})

t.test('a lease lasts as long as it was asked for: nobody judges it by 30 s', async (t) => {
  const { test, worker, redis, leased } = await start(t)
  const long = await leased('long', { options: { timeoutMs: 86_400_000 } }, { leaseMs: 3_600_000 })
  const lock = `{jobgate}:${queue}:${long.job.id}:lock`
  t.ok((await redis.pttl(lock)) > 3_590_000)
  const brief = await leased('brief', {}, { leaseMs: 5000 })
  await eventually('the brief one expires by itself', async () => (await read(test, brief.job.id)).state === 'waiting')
  t.match(await read(test, long.job.id), { state: 'active' })
  t.match((await worker.beat([{ lease: long.lease }, { lease: brief.lease }])).json().items, [{ status: 'held' }, { status: 'lost' }])
})

t.test('heartbeats extend from now; the timeout of the attempt is the end of it', async (t) => {
  const { test, worker, leased } = await start(t)
  const { lease, job, expiresAt } = await leased('slow', { options: { timeoutMs: 8000, attempts: 2 } }, { leaseMs: 5000 })
  t.ok(Date.parse(expiresAt) - Date.now() <= 5000)
  const [beat] = (await worker.beat([{ lease, leaseMs: 60_000 }])).json().items
  const left = Date.parse(beat.expiresAt) - Date.now()
  t.ok(left > 5000 && left <= 8000, `${left}`)
  await eventually('it has timed out', async () => (await read(test, job.id)).attempts.made === 1)
  t.match(await read(test, job.id), { error: { code: 'timed_out', retryable: true } })
  t.match((await worker.one(lease, 'complete', { result: width })).json(), { type: '/problems/lease-lost' })
  const capped = await leased('capped', { options: { timeoutMs: 6000 } }, { leaseMs: 3_600_000 })
  t.ok(Date.parse(capped.expiresAt) - Date.now() <= 6000, 'also of a longer lease')
})

t.test('failed: retried after its backoff or after retryAfterMs, permanently, or with its last attempt', async (t) => {
  const { test, worker, leased } = await start(t)
  const fails = async (item: LeaseItem, more: object = {}) => (await worker.one(item.lease, 'fail', { error, ...more })).json().outcome

  const item = await leased('retried', { options: { attempts: 3 } })
  t.equal(await fails(item), 'retrying')
  const [second] = (await worker.lease()) as [LeaseItem]
  t.match(second.job, { id: item.job.id, attempts: { made: 1 }, error }, 'with its own code and retryable')
  const since = Date.now()
  t.equal(await fails(second, { retryAfterMs: 1500 }), 'retrying')
  t.match(await read(test, item.job.id), { state: 'delayed' })
  const [third] = (await worker.lease()) as [LeaseItem]
  t.ok(Date.now() - since >= 1500)
  t.equal(await fails(third), 'failed', 'no attempt is left')
  t.match(await read(test, item.job.id), { state: 'failed', error, attempts: { made: 3, max: 3 } })

  const never = await leased('never again')
  t.equal(await fails(never, { error: { ...error, retryable: false } }), 'failed')
  t.match(await read(test, never.job.id), { state: 'failed', attempts: { made: 1 }, error: { retryable: false } })
  const slow = await leased('backoff', { options: { backoff: { type: 'exponential', delayMs: 60_000 } } })
  t.equal(await fails(slow, { retryAfterMs: 10 }), 'retrying')
  t.ok(Date.parse((await read(test, slow.job.id)).runAt) - Date.now() > 50_000, 'the backoff is longer')
  const atOnce = await leased('at once', { options: { backoff: { type: 'fixed', delayMs: 0 } } })
  t.equal(await fails(atOnce), 'retrying')
  t.equal(((await worker.lease()) as [LeaseItem])[0].job.id, atOnce.job.id)

  t.match(
    (await worker.settle({ lease: (await leased('x')).lease, outcome: 'failed', error: { ...error, code: 'cancelled' } })).json().items,
    [{ status: 400, error: { errors: [{ pointer: '#/error/code' }] } }],
  )
  const metrics = parsePrometheusText(await test.services.metrics.render())
  t.equal(sampleValue(metrics, 'jobgate_attempts_total', { type: queue, outcome: 'retrying', code: error.code }), 4)

  for (let at = 0; at < 110; at++) {
    const many = await leased(`many ${at}`, { options: { attempts: 1 } })
    await fails(many, { error: { ...error, code: `many.${at}` } })
  }
  const codes = new Set((await test.services.metrics.render()).match(/code="many\.\d+"/g))
  t.equal(codes.size, 99, 'within a bound')

  const dead = await test.request({ method: 'GET', url: `/admin/queues/${queue}/dead-letters?code=${error.code}` })
  t.equal(dead.json().items.length, 2)
})

t.test('released: back to the queue for others, no attempt counted, as often as one likes', async (t) => {
  const { test, worker, leased } = await start(t)
  const item = await leased('released')
  let { lease } = item
  for (let times = 0; times < 8; times++) {
    t.match((await worker.one(lease, 'release', { log: [`release ${times}`] })).json(), { outcome: 'released' })
    ;[{ lease }] = (await worker.lease()) as [LeaseItem]
  }
  t.match(await read(test, item.job.id), { state: 'active', attempts: { made: 0 } })
  t.match((await worker.one(lease, 'complete', { result: width })).json(), { outcome: 'completed' })
  const log = (await test.request({ method: 'GET', url: `/v1/jobs/${item.job.id}/logs` })).json().items
  t.equal(log.length, 8)
})

t.test('a result that does not fit: 422, and the lease goes on', async (t) => {
  const { test, worker, leased } = await start(t)
  const { lease, job } = await leased('unfit')
  const answer = await worker.one(lease, 'complete', { result: { width: 0, more: 1 } })
  t.equal(answer.statusCode, 422)
  t.match(answer.json(), { type: '/problems/result-invalid', errors: [{ pointer: '#/result/more' }, { pointer: '#/result/width' }] })
  t.match((await worker.settle({ lease, outcome: 'completed' })).json().items, [{ status: 422 }])
  t.match(await read(test, job.id), { state: 'active' })
  t.match((await worker.beat([{ lease }])).json().items, [{ status: 'held' }])
  t.match((await worker.one(lease, 'complete', { result: width })).json(), { outcome: 'completed' })
})

t.test('progress, log, checkpoint and events', async (t) => {
  const { test, worker, leased } = await start(t)
  const { lease, job } = await leased('noted')
  await worker.beat([{ lease, progress: 40, log: ['one', 'two'], checkpoint: ['a'] }])
  t.match(await read(test, job.id), { progress: 40 })
  await worker.one(lease, 'fail', { error, progress: { step: 'late' }, log: ['three'] })
  const [next] = (await worker.lease()) as [LeaseItem]
  t.same(next.checkpoint, ['a'])
  t.match(next.job, { progress: { step: 'late' } })
  await worker.one(next.lease, 'complete', { result: width, log: ['four'] })
  const logs = (await test.request({ method: 'GET', url: `/v1/jobs/${job.id}/logs` })).json().items
  t.same(logs, ['one', 'two', 'three', 'four'])
  const events = await test.request({ method: 'GET', url: `/v1/jobs/${job.id}/events`, headers: { 'last-event-id': '0-0' } })
  t.equal(parseSse(events.body).at(-1)?.event, 'completed')
})

t.test('limits of a start: expired and too old jobs are never handed out', async (t) => {
  const { test, worker, redis } = await start(t)
  const expired = await submitLeased(test, 'expired', { options: { expiresInMs: 1 } })
  const old = await submitLeased(test, 'old')
  await redis.hset(`{jobgate}:${queue}:${old}`, 'timestamp', Date.now() - 25 * 3_600_000)
  const fine = await submitLeased(test, 'fine')
  t.equal((await worker.lease())[0]?.job.id, fine)
  t.match(await test.finished(expired), { state: 'failed', error: { code: 'expired' } })
  t.match(await test.finished(old), { state: 'failed', error: { code: 'too_old' } })
})

t.test('what follows is submitted with parts of the result, before the job completes', async (t) => {
  const { test, worker, leased } = await start(t)
  const followUps = [{ type: queue, data: { label: '' }, resultInto: { '/label': '/width' } }]
  const { lease } = await leased('first', { followUps })
  t.match((await worker.one(lease, 'complete', { result: width })).json(), { outcome: 'failed' }, 'a number is no label')
  const plain = await leased('second', { followUps: [{ type: queue, data: { label: 'follows' } }] })
  t.match((await worker.one(plain.lease, 'complete', { result: width })).json(), { outcome: 'completed' })
  const [next] = (await worker.lease()) as [LeaseItem]
  t.equal(next.job.data.label, 'follows')
  t.same((await read(test, plain.job.id)).followUps, [next.job.id])
})

t.test('waits and attempts are measured, and a trace is carried on', async (t) => {
  const { test, worker } = await start(t)
  const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'
  await test.submit({ type: queue, data: { label: 'traced' } }, { traceparent })
  const [{ lease, job }] = (await worker.lease()) as [LeaseItem]
  t.match(job.traceparent, /^00-0af7651916cd43dd8448eb211c80319c-[0-9a-f]{16}-01$/)
  await worker.one(lease, 'complete', { result: width })
  const metrics = parsePrometheusText(await test.services.metrics.render())
  t.equal(sampleValue(metrics, 'jobgate_job_wait_seconds', { queue }, '_count'), 1)
  t.equal(sampleValue(metrics, 'jobgate_attempts_total', { type: queue, outcome: 'completed' }), 1)
  t.equal(sampleValue(metrics, 'jobgate_leases_total'), 1)
  t.ok(test.logs.some((line) => line.includes('attempt ended') && line.includes(job.id)))
  t.notOk(
    test.logs.some((line) => line.includes(lease)),
    'no log holds a lease',
  )
})
