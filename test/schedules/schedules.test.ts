// Runs of schedules: one job for each, whatever breaks in between, and clocks that follow their records.

import fc from 'fast-check'
import { pino } from 'pino'
import t from 'tap'
import { createAcceptance } from '../../src/bullmq/acceptance.js'
import { createHasBegun } from '../../src/bullmq/job-begun.js'
import type { Accept } from '../../src/jobs/accept.js'
import { createSensitiveDataByType } from '../../src/jobs/sensitive-data.js'
import { openScheduleClock } from '../../src/schedules/clock.js'
import { createSchedulePayloads } from '../../src/schedules/payload.js'
import { createReconcile } from '../../src/schedules/reconcile.js'
import { createScheduleRecords, type ScheduleRecord, scheduleKey } from '../../src/schedules/record.js'
import { createRefuseRun } from '../../src/schedules/refuse-run.js'
import { createRunSchedule } from '../../src/schedules/tick.js'
import { dueAtOf, firstRun, runsAfter, type Timing, timingFingerprint } from '../../src/schedules/timing.js'
import { createJobTypes } from '../../src/types/registry.js'
import { buildTestApp, type TestApp } from '../helpers/build-test-app.js'
import { eventually } from '../helpers/eventually.js'
import { startCluster } from '../helpers/redis-clusters.js'
import type { TestScope } from '../helpers/start-redis.js'

const deadlineMs = 60_000
const minute = 60_000
const echo = (label: string, more: object) => ({ type: 'echo', data: { label }, ...more })
const put = async (app: TestApp, id: string, body: object) => {
  const answer = await app.request({ method: 'PUT', url: `/v1/schedules/${id}`, payload: body })
  if (answer.statusCode >= 300) throw new Error(answer.body)
  return answer.json()
}
const get = async (app: TestApp, id: string) => (await app.request({ method: 'GET', url: `/v1/schedules/${id}` })).json()
const jobsOf = async (app: TestApp, scheduleId: string) => {
  const { items } = (await app.request({ method: 'GET', url: '/v1/jobs?limit=200' })).json()
  return items.filter((job: { scheduleId?: string }) => job.scheduleId === scheduleId)
}
/** What served the due times of a schedule that keeps step with a round startAt. */
const longAgo = (now: number) => new Date(Math.floor(now / minute) * minute - 60 * minute).toISOString()

t.test('with a worker', async (t) => {
  const app = await buildTestApp(t)

  await t.test('every run is a job like any other', async (t) => {
    await put(app, 'every', { ...echo('every', { everyMs: 1000, limit: 3 }), correlationId: 'c1' })
    const after = Date.now()
    await eventually('it is over', async () => (await get(app, 'every')).nextRunAt === null, deadlineMs)
    const { runs, lastRun, skippedRuns } = await get(app, 'every')
    t.same([runs, skippedRuns], [3, 0])
    const jobs = await jobsOf(app, 'every')
    t.equal(jobs.length, 3)
    t.equal(new Set(jobs.map(({ id }: { id: string }) => id)).size, 3)
    t.equal(jobs[0].id, lastRun.jobId)
    for (const { id } of jobs) {
      t.match(id, /^ext_[A-Za-z0-9_-]{22}$/)
      t.match(await app.finished(id), { state: 'completed', correlationId: 'c1', idempotencyKey: null, scheduleId: 'every' })
      t.match(app.probes.runs.filter(({ jobId }) => jobId === id).length, 1)
    }
    const created = jobs.map(({ createdAt }: { createdAt: string }) => Date.parse(createdAt)).reverse()
    t.ok(Date.parse(lastRun.dueAt) - 2000 <= after, 'the first run is at once')
    t.ok(created[1] > created[0] && created[2] > created[1], 'each has its own createdAt')
    t.equal((await app.request({ method: 'GET', url: `/v1/jobs/${jobs[0].id}` })).statusCode, 200)
    t.equal((await app.request({ method: 'GET', url: `/admin/queues/external-api/jobs/${jobs[0].id}` })).statusCode, 200)
    const feed = await app.request({ method: 'GET', url: `/v1/jobs/${jobs[0].id}/events`, headers: { accept: 'text/event-stream' } })
    t.match(feed.body, /event: completed/)
  })

  await t.test('a run can be cancelled and retried', async (t) => {
    await put(app, 'blocked', { type: 'block', data: { label: 'blocked' }, everyMs: 3_600_000 })
    await app.probes.started('blocked')
    const [{ id }] = await jobsOf(app, 'blocked')
    t.equal((await app.request({ method: 'DELETE', url: `/v1/jobs/${id}` })).statusCode, 202)
    t.match(await app.finished(id), { state: 'cancelled' })
    app.probes.release('blocked')
    t.equal((await app.request({ method: 'POST', url: `/v1/jobs/${id}/retry` })).statusCode, 202)
    t.match(await app.finished(id), { state: 'completed', scheduleId: 'blocked' })
  })

  await t.test('a job for many becomes one each, in every run', async (t) => {
    await put(app, 'many', { type: 'many', data: { labels: ['a', 'b'] }, everyMs: 1000, limit: 2 })
    await eventually('it is over', async () => (await get(app, 'many')).nextRunAt === null, deadlineMs)
    const parents = (await jobsOf(app, 'many')).filter(({ parentId }: { parentId?: string }) => parentId === undefined)
    t.equal(parents.length, 2)
    for (const { id } of parents) {
      t.match(await app.finished(id), { state: 'completed', result: { total: 2, failed: 0 } })
      const children = (await app.request({ method: 'GET', url: `/v1/jobs/${id}/children` })).json().items
      t.same(
        children.map(({ data, scheduleId }: { data: unknown; scheduleId: string }) => [data, scheduleId]),
        [
          [{ labels: 'a' }, 'many'],
          [{ labels: 'b' }, 'many'],
        ],
      )
    }
  })

  await t.test('putting the same again makes nothing due; other data keep the time; another time starts anew', async (t) => {
    const hourly = { everyMs: 3_600_000 }
    await put(app, 'same', echo('same', hourly))
    await app.probes.started('same')
    await eventually('the run is counted', async () => (await get(app, 'same')).runs === 1)
    const first = await get(app, 'same')
    for (let times = 0; times < 3; times++) t.equal((await put(app, 'same', echo('same', hourly))).nextRunAt, first.nextRunAt)
    t.equal((await put(app, 'same', echo('other', hourly))).nextRunAt, first.nextRunAt)
    t.equal((await get(app, 'same')).runs, 1)
    await put(app, 'same', echo('anew', { everyMs: 7_200_000 }))
    await app.probes.started('anew')
    await eventually('the run is counted', async () => (await get(app, 'same')).runs === 2)
    t.equal(app.probes.runs.filter(({ label }) => label === 'same' || label === 'other').length, 1)
  })

  await t.test('nothing is due after endAt, nor after it was deleted', async (t) => {
    await put(app, 'ends', echo('ends', { everyMs: 1000, endAt: new Date(Date.now() + 4500).toISOString() }))
    await put(app, 'gone', echo('gone', { everyMs: 1000 }))
    await app.probes.started('gone')
    t.equal((await app.request({ method: 'DELETE', url: '/v1/schedules/gone' })).statusCode, 204)
    const { runs } = await eventuallyOver(app, 'ends')
    // A busy machine may come to the last ones only when the end is over.
    t.ok(runs >= 1 && runs <= 5, `${runs} runs`)
    const gone = (await jobsOf(app, 'gone')).length
    // A third schedule tells that time has passed.
    await put(app, 'later', echo('later', { everyMs: 1000, limit: 3 }))
    await eventuallyOver(app, 'later')
    // It may have been over with its fifth one still on its way; a sixth was never due.
    t.ok((await get(app, 'ends')).runs <= 5)
    t.equal((await jobsOf(app, 'gone')).length, gone)
  })

  await t.test('a payload that no longer fits fails its run, for all to see', async (t) => {
    await put(app, 'unfit', echo('unfit', { cron: '0 0 1 1 *' }))
    const { keys, redis } = app.services
    const key = scheduleKey('default', 'unfit')
    const record = JSON.parse((await redis.request.hget(keys.schedule(key), 'record')) as string)
    // As a later version whose schema asks for more would see it.
    const { cron: _cron, ...rest } = { ...record, data: { label: '' }, everyMs: 3_600_000 }
    await redis.request.hset(keys.schedule(key), { record: JSON.stringify(rest), step: '', anchor: Date.now() })
    await openParts(t, app).reconcile(key)
    await eventually('it ran', async () => (await jobsOf(app, 'unfit')).length === 1, deadlineMs)
    const [{ id }] = await jobsOf(app, 'unfit')
    t.match(await app.finished(id), {
      state: 'failed',
      scheduleId: 'unfit',
      error: { code: 'schedule_refused', message: /#\/data\/label/, retryable: false },
    })
    t.ok(app.logs.some((line) => line.includes('scheduled run refused') && line.includes('unfit')))
    t.notOk(app.probes.runs.some(({ jobId }) => jobId === id))
    const dead = (await app.request({ method: 'GET', url: '/admin/queues/external-api/dead-letters' })).json().items
    t.ok(dead.some((each: { id: string }) => each.id === id))
  })
})

const eventuallyOver = async (app: TestApp, id: string) => {
  await eventually(`${id} is over`, async () => (await get(app, id)).nextRunAt === null, deadlineMs)
  return get(app, id)
}

/** What a worker serves ticks with, over the connection of `app`. `accept` may be one that fails. */
const openParts = (t: TestScope, app: TestApp, { accept = app.services.accept, types = app.probes.types }: PartsOptions = {}) => {
  const { config, keys, queues, redis } = app.services
  const { request } = redis
  const jobTypes = createJobTypes(types)
  const clock = openScheduleClock({ redis: request, prefix: config.redis.prefix })
  t.after(() => clock.close())
  const records = createScheduleRecords({ redis: request, writing: request, keys })
  const reconcile = createReconcile({ clock, records })
  const payloads = createSchedulePayloads({ jobTypes, sensitive: createSensitiveDataByType(jobTypes, config.encryptionKeys) })
  const store = createAcceptance({ redis: request, maxDepth: config.queues.maxDepth, claimTtlMs: config.queues.idempotencyTtlMs, queues })
  const refuse = createRefuseRun({ store, jobTypes, keys, queues, redis: request })
  const hasBegun = createHasBegun({ redis: request, queues })
  const log = pino({ level: 'silent' })
  const run = createRunSchedule({
    reconcile,
    clock,
    config,
    hasBegun,
    log,
    queues,
    payloads,
    records,
    refuse,
    accept,
  })
  return {
    clock,
    records,
    reconcile,
    /** Serves the tick that was due at `at`. */
    tick: async (id: string, at: number, { awakeSince = Date.now(), print }: { awakeSince?: number; print?: string } = {}) => {
      const key = scheduleKey('default', id)
      const stored = await records.read(key)
      return run({ key, at, print: print ?? (stored ? timingFingerprint(stored.timing) : ''), awakeSince })
    },
  }
}
interface PartsOptions {
  readonly accept?: Accept
  readonly types?: TestApp['probes']['types']
}

t.test('ticks, served by hand', async (t) => {
  const app = await buildTestApp(t, { env: { WORKERS_ENABLED: 'false' } })
  const parts = openParts(t, app)
  const { tick } = parts
  const now = Date.now()
  const everySecond = { everyMs: 1000, startAt: longAgo(now) }
  const second = Math.floor(now / 1000) * 1000

  await t.test('one job for a tick, however often it is served', async (t) => {
    await put(app, 'once', echo('once', everySecond))
    await Promise.all(Array.from({ length: 10 }, () => tick('once', second)))
    await tick('once', second)
    await tick('once', second + 999)
    t.equal((await jobsOf(app, 'once')).length, 1)
    t.match(await get(app, 'once'), { runs: 1, lastRun: { dueAt: new Date(second).toISOString() } })
    await tick('once', second + 1000)
    t.equal((await jobsOf(app, 'once')).length, 2)
    await tick('once', second)
    t.match(await get(app, 'once'), { runs: 2, lastRun: { dueAt: new Date(second + 1000).toISOString() } })
  })

  await t.test('a crash before, while or after it is submitted is healed by the next try', async (t) => {
    const crash = new Error('crashed')
    const submits: Accept[] = [
      async () => {
        throw crash
      },
      async (submission, context) => {
        await app.services.accept(submission, context)
        throw crash
      },
    ]
    for (const [index, submit] of submits.entries()) {
      const id = `crash-${index}`
      await put(app, id, echo(id, { ...everySecond, limit: 1 }))
      await t.rejects(openParts(t, app, { accept: submit }).tick(id, second), crash)
      t.match(await tick(id, second), { kind: 'submitted', runs: 1 })
      t.equal((await jobsOf(app, id)).length, 1)
      t.match(await get(app, id), { runs: 1, nextRunAt: null })
      t.match(await tick(id, second + 1000), { kind: 'submitted', runs: 0 }, 'the limit holds')
      t.equal((await jobsOf(app, id)).length, 1)
    }
    await put(app, 'changed', echo('before', everySecond))
    await t.rejects(openParts(t, app, { accept: submits[1] as Accept }).tick('changed', second), crash)
    await put(app, 'changed', { ...echo('after', everySecond), type: 'flaky' })
    t.match(await tick('changed', second), { kind: 'submitted' })
    t.match(await jobsOf(app, 'changed'), [{ type: 'echo', data: { label: 'before' } }], 'also when the schedule was changed in between')
  })

  await t.test('missed runs: all of them if a worker was awake, else one', async (t) => {
    await put(app, 'awake', echo('awake', everySecond))
    const missed = second - 5000
    t.match(await tick('awake', missed, { awakeSince: missed - 1 }), { kind: 'submitted' })
    const { runs } = await get(app, 'awake')
    t.ok(runs >= 6, `${runs} of the runs due from ${missed} on`)
    t.equal((await jobsOf(app, 'awake')).length, runs)
    await put(app, 'asleep', echo('asleep', everySecond))
    t.match(await tick('asleep', missed - 3_000_000), { kind: 'submitted', runs: 1 })
    t.match(await get(app, 'asleep'), { runs: 1, lastRun: { dueAt: new Date(missed - 3_000_000).toISOString() } })
    await put(app, 'outage', echo('outage', everySecond))
    const begun = Date.now()
    await tick('outage', missed - 300_000, { awakeSince: missed - 300_000 })
    // Those that fall due meanwhile are not late.
    const newSeconds = Math.ceil((Date.now() - begun) / 1000)
    const madeUp = (await get(app, 'outage')).runs
    t.ok(madeUp > 50 && madeUp <= 62 + newSeconds, `${madeUp} are made up for at most`)
  })

  await t.test('what is missed is not made up for beyond the end', async (t) => {
    await put(app, 'ended', { ...echo('ended', everySecond), endAt: new Date(now + 60 * minute).toISOString() })
    const { keys, redis } = app.services
    const key = scheduleKey('default', 'ended')
    const record = JSON.parse((await redis.request.hget(keys.schedule(key), 'record')) as string)
    const end = second - 1000
    await redis.request.hset(keys.schedule(key), 'record', JSON.stringify({ ...record, endAt: end }))
    // As it is once the clock's last tick has been taken.
    await parts.clock.remove(key)
    t.match(await tick('ended', second - 3000, { awakeSince: second - 4000 }), { kind: 'submitted' })
    t.match(await get(app, 'ended'), { runs: 3, lastRun: { dueAt: new Date(end).toISOString() } })
  })

  await t.test('runs do not pile up behind one that nobody takes', async (t) => {
    await put(app, 'piling', echo('piling', everySecond))
    t.match(await tick('piling', second - 2 * minute), { kind: 'submitted' })
    t.match(await tick('piling', second), { kind: 'skipped' })
    t.match(await get(app, 'piling'), { runs: 1, skippedRuns: 1 })
    const [{ id }] = await jobsOf(app, 'piling')
    await app.request({ method: 'DELETE', url: `/v1/jobs/${id}` })
    t.match(await tick('piling', second + 1000), { kind: 'submitted' }, 'and go on once it is out of the way')
    await put(app, 'young', echo('young', everySecond))
    await tick('young', second - 10_000)
    t.match(await tick('young', second), { kind: 'submitted' }, 'one that has waited less than a minute is nothing out of the way')
  })

  await t.test('a parent waits as long as none of its children is finished', async (t) => {
    await put(app, 'many', { type: 'many', data: { labels: ['a', 'b'] }, ...everySecond })
    await tick('many', second - 2 * minute)
    t.match(await tick('many', second), { kind: 'skipped' })
    const child = (await jobsOf(app, 'many')).length === 1 ? (await get(app, 'many')).lastRun.jobId : ''
    const [first] = (await app.request({ method: 'GET', url: `/v1/jobs/${child}/children` })).json().items
    await app.request({ method: 'DELETE', url: `/v1/jobs/${first.id}` })
    t.match(await tick('many', second + 1000), { kind: 'submitted' })
  })

  await t.test('what this version does not know or cannot decrypt fails visibly', async (t) => {
    await put(app, 'unknown', { ...echo('x', everySecond), type: 'flaky' })
    const older = openParts(t, app, { types: app.probes.types.filter(({ name }) => name !== 'flaky') })
    t.match(await older.tick('unknown', second), { kind: 'submitted' })
    t.match(await jobsOf(app, 'unknown'), [{ type: 'flaky', state: 'waiting' }], 'a job, which then fails')
    await put(app, 'followed', { ...echo('x', everySecond), followUps: [{ type: 'flaky', data: { label: 'y' } }] })
    t.match(await older.tick('followed', second - 10_000), { kind: 'submitted' })
    const [followed] = await jobsOf(app, 'followed')
    const seenWith = async (grants: object) => {
      const payload = { name: 'k', scopes: ['jobs:read'], ...grants }
      const { key } = (await app.request({ method: 'POST', url: '/admin/api-keys', payload })).json()
      return (await app.request({ method: 'GET', url: `/v1/jobs/${followed.id}`, key })).statusCode
    }
    t.equal(await seenWith({ types: ['echo', 'flaky'] }), 200)
    t.equal(await seenWith({ types: ['echo'] }), 404, 'hidden by its follow-up, which it never gets')
    t.equal(await seenWith({ queues: ['external-api'] }), 404, 'nobody knows the queue of that')

    const justDue = { everyMs: 3_600_000, startAt: new Date(Date.now() + minute).toISOString() }
    await put(app, 'early', { ...echo('x', justDue), followUps: [{ type: 'flaky', data: { label: 'y' } }] })
    const due = Date.parse(justDue.startAt)
    t.match(await older.tick('early', due), { kind: 'waits', reason: /follow-up/ }, 'it may be about to hear of the type')
    t.match(await tick('early', due), { kind: 'submitted' })

    const env = { WORKERS_ENABLED: 'false', DATA_ENCRYPTION_KEY: Buffer.alloc(32, 7).toString('base64') }
    const sealing = await buildTestApp(t, { beside: app, env })
    await put(sealing, 'sealed', { type: 'echo', data: { label: 'x', secret: 'hunter2' }, ...everySecond })
    t.match(await tick('sealed', second), { kind: 'submitted' }, 'served by a worker without the key')
    const [{ id }] = await jobsOf(app, 'sealed')
    const stored = await app.services.redis.request.hget(app.services.queueKeys['external-api'].job(id), 'data')
    t.match(stored, /schedule_refused.*DATA_ENCRYPTION_KEY/)
    t.notMatch(stored, /hunter2/)
  })

  await t.test('a tick of a schedule that is gone or timed anew does nothing but bring the clock in line', async (t) => {
    t.match(await tick('absent', second), { kind: 'void' })
    await put(app, 'timed', echo('timed', { cron: '0 0 1 1 *' }))
    const key = scheduleKey('default', 'timed')
    const former: Timing = { kind: 'every', everyMs: 1000, anchor: second + 3_600_000, atOnce: false }
    await parts.clock.set(key, former)
    t.match(await tick('timed', second, { print: timingFingerprint(former) }), { kind: 'void' })
    t.match((await get(app, 'timed')).nextRunAt, /-01-01T00:00:00\.000Z$/)
    t.equal((await jobsOf(app, 'timed')).length, 0)
  })
})

t.test('a full queue', async (t) => {
  const app = await buildTestApp(t, { env: { WORKERS_ENABLED: 'false', QUEUE_MAX_DEPTH: '1' } })
  const { tick } = openParts(t, app)
  const { id } = (await app.submit(echo('x', {}))).json()
  const hourly = { everyMs: 3_600_000, startAt: longAgo(Date.now()) }
  await put(app, 'full', echo('full', hourly))
  const due = Date.parse(hourly.startAt)
  t.match(await tick('full', due), { kind: 'waits', reason: 'the queue is full' }, 'the tick is to be tried again')
  t.match(await tick('full', due), { kind: 'waits', reason: 'the queue is full' })
  await app.request({ method: 'DELETE', url: `/v1/jobs/${id}` })
  t.match(await tick('full', due), { kind: 'submitted', runs: 1 })
  t.match(await get(app, 'full'), { runs: 1, skippedRuns: 0 })

  await put(app, 'second', echo('second', { everyMs: 1000, startAt: hourly.startAt }))
  const at = Math.floor(Date.now() / 1000) * 1000
  t.match(await tick('second', at), { kind: 'waits', reason: 'the queue is full' })
  await eventually('the next one is due', async () => Date.parse((await get(app, 'second')).nextRunAt) < Date.now(), deadlineMs)
  t.match(await tick('second', at), { kind: 'skipped' }, 'a newer one takes its place')
  t.match(await get(app, 'second'), { runs: 0, skippedRuns: 1, lastRun: null })
})

t.test('clocks follow their records', async (t) => {
  const app = await buildTestApp(t, { env: { WORKERS_ENABLED: 'false' } })
  const { reconcile, clock, records } = openParts(t, app)
  const yearly = { cron: '0 0 1 1 *' }
  const printOf = async (key: string) => {
    const stored = await records.read(key)
    return stored && timingFingerprint(stored.timing)
  }

  await t.test('a record without a clock gets one, a clock without a record loses it', async (t) => {
    await put(app, 'a', echo('a', yearly))
    const key = scheduleKey('default', 'a')
    t.equal(await reconcile(key), 'kept')
    await clock.remove(key)
    t.match(await get(app, 'a'), { nextRunAt: null })
    t.equal(await reconcile(key), 'set')
    t.match((await get(app, 'a')).nextRunAt, /-01-01T/)
    await records.remove('default', 'a')
    t.equal(await reconcile(key), 'removed')
    t.equal(await clock.read(key), null)
    t.equal(await reconcile(key), 'removed')
  })

  await t.test('a clock whose tick was lost is set again', async (t) => {
    const key = scheduleKey('default', 'lost')
    const { redis, config } = app.services
    await put(app, 'lost', echo('lost', { everyMs: 1000 }))
    const { nextAt } = (await clock.read(key)) as { nextAt: number }
    const base = `${config.redis.prefix}:schedules`
    await redis.request.del(`${base}:repeat:${key}:${nextAt}`)
    await redis.request.lrem(`${base}:wait`, 0, `repeat:${key}:${nextAt}`)
    await redis.request.zrem(`${base}:delayed`, `repeat:${key}:${nextAt}`)
    t.equal(await reconcile(key), 'kept', 'it may only be late')
    await redis.request.zadd(`${base}:repeat`, nextAt - 2 * minute, key)
    t.equal(await reconcile(key), 'set')
    t.ok(((await clock.read(key)) as { nextAt: number }).nextAt >= nextAt)
  })

  await t.test('whoever changes a schedule at the same time: the last record wins, and its clock runs', async (t) => {
    const bodies = [yearly, { cron: '0 0 1 7 *', timezone: 'Europe/Berlin' }, { everyMs: 86_400_000, startAt: longAgo(Date.now()) }]
    for (let round = 0; round < 5; round++) {
      const key = scheduleKey('default', `race-${round}`)
      await Promise.all(
        Array.from({ length: 20 }, async (_, index) => {
          const deletes = index % 5 === 4
          if (deletes) await app.request({ method: 'DELETE', url: `/v1/schedules/race-${round}` })
          else await app.request({ method: 'PUT', url: `/v1/schedules/race-${round}`, payload: echo('x', bodies[index % 3] as object) })
        }),
      )
      t.equal((await clock.read(key))?.print ?? null, await printOf(key))
    }
  })

  await t.test('a record that is changed while its clock is set is looked at again', async (t) => {
    await put(app, 'meanwhile', echo('meanwhile', yearly))
    const key = scheduleKey('default', 'meanwhile')
    const changes = [
      (record: ScheduleRecord) => records.put({ ...record, cron: '0 0 1 7 *' }, 1000),
      () => records.remove('default', 'meanwhile'),
    ]
    for (const change of changes) {
      let changed = false
      const set: typeof clock.set = async (...timing) => {
        await clock.set(...timing)
        if (changed) return
        changed = true
        await change((await records.read(key))?.record as ScheduleRecord)
      }
      await clock.remove(key)
      await createReconcile({ records, clock: { ...clock, set } })(key)
      t.ok(changed)
      t.equal((await clock.read(key))?.print ?? null, await printOf(key))
    }
  })

  await t.test('who may replace or remove one record only does so with no other', async (t) => {
    const key = scheduleKey('default', 'judged')
    const record: ScheduleRecord = { id: 'judged', tenant: 'default', type: 'echo', queue: 'external-api', data: { label: '1' }, ...yearly }
    const textOf = async () => (await records.read(key))?.text
    t.equal(await records.put(record, 1000, 'one that was there before'), 'changed')
    t.equal(await textOf(), undefined)
    t.equal(await records.put(record, 1000, null), 'created')
    const first = (await textOf()) as string
    t.equal(await records.put({ ...record, data: { label: '2' } }, 1000, null), 'changed', 'somebody else was first')
    t.equal(await records.put({ ...record, data: { label: '2' } }, 1000, first), 'updated')
    t.equal(await records.put({ ...record, data: { label: '3' } }, 1000, first), 'changed')
    t.equal(await records.remove('default', 'judged', first), 'changed')
    t.match(await textOf(), /"label":"2"/)
    t.equal(await records.remove('default', 'judged', await textOf()), 'removed')
    t.equal(await records.remove('default', 'judged', first), 'missing')
  })

  await t.test('all schedules are found, some at a time', async (t) => {
    const names = Array.from({ length: 500 }, (_, index) => `n${index}`)
    const record = (id: string): ScheduleRecord => ({ id, tenant: 'crowd', type: 'echo', queue: 'external-api', data: {}, ...yearly })
    await Promise.all(names.map((id) => records.put(record(id), 1000)))
    const found = new Set<string>()
    for await (const keys of records.all()) for (const key of keys) found.add(key)
    t.same(
      names.filter((id) => !found.has(scheduleKey('crowd', id))),
      [],
    )
  })
})

t.test('on a Redis Cluster', async (t) => {
  const { hosts } = await startCluster(t)
  const app = await buildTestApp(t, { env: { REDIS_CLUSTER_NODES: hosts.map(({ host, port }) => `${host}:${port}`).join(',') } })
  await put(app, 'clustered', echo('clustered', { everyMs: 1000, limit: 2 }))
  t.match(await eventuallyOver(app, 'clustered'), { runs: 2 })
  t.equal((await jobsOf(app, 'clustered')).length, 2)
  t.equal((await app.request({ method: 'GET', url: '/v1/schedules' })).json().items.length, 1)
  t.equal((await app.request({ method: 'DELETE', url: '/v1/schedules/clustered' })).statusCode, 204)
})

t.test('even distances: every moment belongs to one run, and runs keep step with the anchor', async (t) => {
  const arbitrary = fc.record({
    everyMs: fc.integer({ min: 1000, max: 31_622_400_000 }),
    anchor: fc.integer({ min: 0, max: 2_000_000_000_000 }),
    atOnce: fc.boolean(),
    later: fc.integer({ min: 0, max: 2_000_000_000_000 }),
  })
  fc.assert(
    fc.property(arbitrary, ({ everyMs, anchor, atOnce, later }) => {
      const timing: Timing = { kind: 'every', everyMs, anchor, atOnce }
      const now = anchor + later
      const [next] = runsAfter(timing, now) as Iterable<number>
      const due = dueAtOf(timing, now)
      const first = firstRun(timing, now) as number
      return (
        (due - anchor) % everyMs === 0 &&
        due <= now &&
        now - due < everyMs &&
        next === due + everyMs &&
        dueAtOf(timing, next) === next &&
        first === (atOnce && later < everyMs ? anchor : next)
      )
    }),
  )
  t.pass('for any distance')
})
