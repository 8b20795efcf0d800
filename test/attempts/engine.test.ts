// The attempt engine under a driver of its own, without BullMQ: what every end of an attempt depends on, and what is written for it.

import { tmpdir } from 'node:os'
import pino from 'pino'
import t from 'tap'
import { AbortHandle, type AbortReason } from '../../src/attempts/abort-handle.js'
import type { HandedOutJob } from '../../src/attempts/attempt.js'
import { createAttemptEngine } from '../../src/attempts/engine.js'
import type { FollowUpsOutcome } from '../../src/attempts/follow-ups.js'
import type { AttemptReport } from '../../src/attempts/outcome.js'
import { type AttemptNotes, createRunHandler } from '../../src/attempts/run-handler.js'
import type { AttemptWriter } from '../../src/attempts/settle.js'
import { cancelledReason } from '../../src/bullmq/cancelled.js'
import type { QueueKeys } from '../../src/bullmq/queue-keys.js'
import { createQueuePlaces } from '../../src/bullmq/queues.js'
import { decodeJobError, encodeJobError } from '../../src/bullmq/stored-job-error.js'
import { loadConfig } from '../../src/config/config.js'
import type { JobEnvelope } from '../../src/jobs/envelope.js'
import { createSensitiveDataByType } from '../../src/jobs/sensitive-data.js'
import { createKeys } from '../../src/redis/redis-keys.js'
import { createMetrics } from '../../src/telemetry/metrics.js'
import { isRunnable, type JobType } from '../../src/types/definition.js'
import { jobErrors } from '../../src/types/job-errors.js'
import { createJobTypes } from '../../src/types/registry.js'
import { createProbes } from '../helpers/probe-job-types.js'
import { startRedis } from '../helpers/start-redis.js'

const hour = 3_600_000
const { redis } = await startRedis(t)
const client = redis.connect('worker')
const keys = createKeys('{jobgate}')
const queue = createQueuePlaces('{jobgate}', createJobTypes()).partitionsOf('external-api')[0] as QueueKeys
const config = loadConfig({}, tmpdir())
const probes = createProbes()
const needy: JobType = { ...(probes.types[0] as JobType), name: 'needy', requires: ['crm'] }
const jobTypes = createJobTypes([...probes.types, needy])

const lines: string[] = []
let followed: FollowUpsOutcome | Error = { kind: 'submitted' }
let submitted: unknown[] = []
const engine = createAttemptEngine({
  config,
  drives: isRunnable,
  integrations: {},
  integrationVariables: { crm: 'CRM_URL' },
  jobErrors,
  jobTypes,
  keys,
  log: pino({ level: 'info' }, { write: (line: string) => lines.push(line) }),
  metrics: createMetrics(),
  redis: client,
  sensitive: createSensitiveDataByType(jobTypes, []),
  submitFollowUps: async (_first, result) => {
    submitted.push(result)
    if (followed instanceof Error) throw followed
    return followed
  },
  tracing: undefined,
})
const runHandler = createRunHandler({ integrations: {}, markerTtlMs: 60_000, redis: client })

type Write = readonly [name: string, value?: unknown]

/** Holds its jobs until it is told that it does not. */
const createDriver = ({ holds = true, broken = false } = {}) => {
  const writes: Write[] = []
  /** Lines and progress. */
  const log: unknown[] = []
  const write =
    (name: string) =>
    (value?: unknown): boolean => {
      if (broken) throw new Error('Redis is gone')
      writes.push(value === undefined ? [name] : [name, value])
      return holds
    }
  const appendLog = async (line: string) => log.push(line)
  const writer: AttemptWriter = {
    appendLog,
    complete: write('complete'),
    fail: write('fail'),
    retry: write('retry'),
    // As those that have to ask Redis.
    delayUntil: async (at) => write('delayUntil')(at),
    release: async () => write('release')(),
    abandon: () => {
      writes.push(['abandon'])
    },
  }
  const notes: AttemptNotes = {
    appendLog,
    updateProgress: async (progress) => {
      log.push(progress)
    },
  }
  return { writes, log, writer, notes }
}

interface Case extends Partial<Omit<HandedOutJob, 'envelope'>> {
  readonly envelope?: Partial<JobEnvelope>
  readonly driver?: ReturnType<typeof createDriver>
  /** Told before the attempt begins, or once its handler runs. */
  readonly abortedFirst?: AbortReason
  readonly aborted?: AbortReason
  /** The handler ends well after that. */
  readonly released?: boolean
}

let jobs = 0
const nextId = () => `ext_${String(++jobs).padStart(20, '0')}`
const followUps = [{ id: 'ext_follow', type: 'echo', data: { label: 'follows' } }]

/** One attempt, driven as every driver does. */
const attempt = async ({ envelope, driver = createDriver(), abortedFirst, aborted, released, ...more }: Case = {}) => {
  const id = more.id ?? nextId()
  const job: HandedOutJob = {
    id,
    type: 'echo',
    queue: 'external-api',
    key: queue.job(id),
    markerKey: queue.partition.keys.marker(id),
    createdAt: Date.now(),
    attemptsMade: 0,
    attemptsStarted: (more.attemptsMade ?? 0) + 1,
    attemptsMax: 3,
    ...more,
    envelope: { data: { label: id }, tenant: 'default', correlationId: 'c', timeoutMs: 60_000, ...envelope },
  }
  submitted = []
  lines.length = 0
  const abort = new AbortHandle()
  if (abortedFirst) abort.abort(abortedFirst)
  const opened = engine.open(job)
  const begun = await engine.begin(opened)
  const run = async (): Promise<AttemptReport> => {
    if (begun.kind === 'decided') return begun.outcome
    if (begun.kind === 'refused') return begun
    const running = runHandler({ attempt: opened, input: begun, abort, notes: driver.notes })
    if (aborted) {
      await probes.started(id)
      abort.abort(aborted)
      if (released) probes.release(id)
    }
    return running
  }
  const end = await engine.settle(opened, await run(), abort, driver.writer)
  const told = lines.map((line) => JSON.parse(line)).filter(({ msg }) => msg === 'attempt ended')
  return { id, end, writes: driver.writes, log: driver.log, told, counts: await client.hgetall(job.key) }
}

/** The error that was written. */
const errorOf = ([write]: readonly Write[]) => decodeJobError(write?.[1] as string)

t.test('completed', async (t) => {
  const { id, end, writes, told } = await attempt()
  t.same(end, { kind: 'completed', result: { label: id } })
  t.same(writes, [['complete', { label: id }]])
  t.match(told, [{ outcome: 'completed', code: null, jobId: id, type: 'echo', queue: 'external-api', attempt: 1, correlationId: 'c' }])
  t.equal(told.length, 1)

  const reported = await attempt({ type: 'progress' })
  t.same(reported.log, ['half way', 50, { step: 'last' }], 'lines and progress go to the driver')
})

t.test('retrying as long as attempts are left, then failed', async (t) => {
  const first = await attempt({ type: 'flaky' })
  t.match(first.end, { kind: 'retrying', code: 'handler_error', message: 'Not yet.' })
  t.same(
    first.writes.map(([name]) => name),
    ['retry'],
  )
  t.match(errorOf(first.writes), { code: 'handler_error', message: 'Not yet.', retryable: true })
  t.match(first.told, [{ outcome: 'retrying', code: 'handler_error' }])
  t.match(await attempt({ type: 'flaky', attemptsMade: 1 }), { end: { kind: 'completed' }, told: [{ attempt: 2 }] })

  const last = await attempt({ type: 'flaky', attemptsMax: 1 })
  t.match(last.end, { kind: 'failed', code: 'handler_error' })
  t.match(last.writes, [['fail']])

  const thrown = await attempt({ type: 'throw' })
  t.match(thrown.end, { kind: 'retrying', code: 'handler_error', message: jobErrors.handler_error.meaning })
  t.notMatch(JSON.stringify(thrown.writes), /hunter2/)
})

t.test('failed for good, whatever attempts are left', async (t) => {
  const refused = await attempt({ type: 'refuse' })
  t.match(refused.end, { kind: 'failed', code: 'invalid_data' })
  t.match(refused.writes, [['fail']])
  t.match(errorOf(refused.writes), { code: 'invalid_data', retryable: false })

  t.match((await attempt({ type: 'no-such' })).end, { kind: 'failed', code: 'unknown_job_type' })
  t.match((await attempt({ type: 'gone', queue: 'gone' })).end, { kind: 'deferred', code: 'unknown_job_type' }, 'it waits for its type')
  t.match((await attempt({ type: 'needy' })).end, { kind: 'failed', code: 'not_configured', message: /CRM_URL/ })
  const refusal = { code: 'schedule_refused', message: 'No longer fits.' } as const
  t.match((await attempt({ envelope: { refusal } })).end, { kind: 'failed', ...refusal })
})

t.test('deferred, counted, for as long as a job may wait to start', async (t) => {
  const before = Date.now()
  const { id, end, writes, log, counts } = await attempt({ type: 'busy' })
  t.match(end, { kind: 'deferred', code: 'handler_error', afterMs: hour })
  t.equal(writes.length, 1)
  const [[name, at] = ['']] = writes
  t.equal(name, 'delayUntil')
  t.ok((at as number) >= before + hour && (at as number) <= Date.now() + hour, String(at))
  t.same(log, ['Deferred (handler_error): Busy.'])
  t.match(counts, { 'jg:deferrals': '1' })

  await client.hset(queue.job(id), 'jg:deferredOn', Date.now() - 25 * hour)
  const always = { type: 'busy', id, envelope: { data: { label: 'always' } }, attemptsStarted: 2 }
  t.match(await attempt(always), { end: { kind: 'retrying', code: 'handler_error' }, writes: [['retry']] })
  t.match(await attempt({ ...always, attemptsMax: 1 }), { end: { kind: 'failed', code: 'handler_error' }, writes: [['fail']] })
})

t.test('cancelled while it runs: whatever its handler says, nothing follows', async (t) => {
  for (const [type, released] of [
    ['block', false],
    ['stubborn', true],
  ] as const) {
    const { end, writes, told } = await attempt({ type, aborted: 'cancelled', released, envelope: { followUps } })
    t.same(end, { kind: 'cancelled' }, type)
    t.same(writes, [['fail', cancelledReason]])
    t.match(told, [{ outcome: 'failed', code: 'cancelled' }])
    t.same(submitted, [])
  }
  t.match(
    await attempt({ attemptsStarted: 6, abortedFirst: 'cancelled' }),
    { end: { kind: 'cancelled' } },
    'nor what kept it from beginning',
  )
})

t.test('released by a driver that stops, counted before others may have it', async (t) => {
  const driver = createDriver()
  const id = nextId()
  let counted: string | null = null
  const { release } = driver.writer
  driver.writer.release = async () => {
    counted = await client.hget(queue.job(id), 'jg:handedBack')
    return release()
  }
  const { end, told } = await attempt({ id, type: 'block', aborted: 'shutdown', driver })
  t.same(end, { kind: 'released' })
  t.same(driver.writes, [['release']])
  t.equal(counted, '1')
  t.match(told, [{ outcome: 'released', code: 'shutdown' }])
  t.match(await attempt({ type: 'stubborn', aborted: 'shutdown' }), { end: { kind: 'released' } }, 'one that does not obey is left behind')
  t.match(await attempt({ type: 'stubborn', aborted: 'shutdown', released: true }), { end: { kind: 'completed' } }, 'what is done is done')
})

t.test('timed out, obeyed or not', async (t) => {
  for (const type of ['block', 'stubborn']) {
    const { end, writes } = await attempt({ type, envelope: { timeoutMs: 20 } })
    t.match(end, { kind: 'retrying', code: 'timed_out' }, type)
    t.match(errorOf(writes), { code: 'timed_out', retryable: true })
  }
  t.match((await attempt({ type: 'block', envelope: { timeoutMs: 20 }, attemptsMax: 1 })).end, { kind: 'failed', code: 'timed_out' })
})

t.test('lost: nothing is written and nothing follows', async (t) => {
  for (const [type, released] of [
    ['block', false],
    ['stubborn', true],
  ] as const) {
    const { end, writes, told, counts } = await attempt({ type, aborted: 'lost', released, envelope: { followUps } })
    t.same(end, { kind: 'lost' }, type)
    t.same(writes, [['abandon']])
    t.match(told, [{ outcome: 'lost', code: 'lost' }])
    t.same(submitted, [])
    t.same(counts, {})
  }
  for (const type of ['echo', 'refuse', 'flaky', 'busy']) {
    const { end, told } = await attempt({ type, driver: createDriver({ holds: false }) })
    t.same(end, { kind: 'lost' }, `${type}: found out when it was written`)
    t.match(told, [{ outcome: 'lost' }])
  }
})

t.test('refused a start: its handler sees nothing, and it is not released', async (t) => {
  const runs = probes.runs.length
  const isOver = { expiresAt: Date.now() - 1 }
  const cases: Readonly<Record<string, Case>> = {
    worker_lost: { attemptsStarted: 6 },
    too_old: { createdAt: Date.now() - 25 * hour },
    expired: { envelope: isOver },
  }
  for (const [code, each] of Object.entries(cases)) {
    for (const abortedFirst of [undefined, 'shutdown'] as const) {
      const { end, writes, counts } = await attempt({ ...each, ...(abortedFirst ? { abortedFirst } : {}) })
      t.match(end, { kind: 'failed', code }, `${code} ${abortedFirst}`)
      t.match(writes, [['fail']])
      t.same(counts, {})
    }
  }
  t.equal(probes.runs.length, runs)

  await t.test('what was counted, or begun in time, is no reason', async (t) => {
    const often = nextId()
    await client.hset(queue.job(often), { 'jg:deferrals': 3, 'jg:handedBack': 2 })
    t.match(await attempt({ id: often, attemptsStarted: 10 }), { end: { kind: 'completed' } }, 'four of ten may have been lost')
    t.match((await attempt({ id: often, attemptsStarted: 11 })).end, { kind: 'failed', code: 'worker_lost' })
    t.match(await attempt({ createdAt: Date.now() - 25 * hour, envelope: { runAt: Date.now() } }), { end: { kind: 'completed' } })
    t.match(await attempt({ attemptsStarted: 2, envelope: isOver }), { end: { kind: 'completed' } }, 'lost, but begun in time')
    const byHand = nextId()
    await client.hset(queue.job(byHand), { 'jg:retriedOn': Date.now(), 'jg:byHand': 1 })
    t.match(await attempt({ id: byHand, envelope: isOver }), { end: { kind: 'completed' } })
  })
})

t.test('what follows is submitted before it completes', async (t) => {
  const run = (outcome: typeof followed) => {
    followed = outcome
    return attempt({ envelope: { followUps } })
  }
  const fine = await run({ kind: 'submitted' })
  t.match(fine.end, { kind: 'completed' })
  t.same(submitted, [{ label: fine.id }])

  const refused = await run({ kind: 'refused', detail: 'follow-up 0 (echo): does not fit' })
  t.match(refused.end, { kind: 'failed', code: 'follow_up_refused', message: /follow-up 0/ })
  t.match(errorOf(refused.writes), { retryable: false })

  for (const outcome of [{ kind: 'full' } as const, new Error('Redis is gone')]) {
    const full = await run(outcome)
    t.match(full.end, { kind: 'deferred', code: 'follow_up_delayed' })
    t.match(full.counts, { 'jg:handedBack': '1' }, 'it had begun')
    t.notOk('jg:deferrals' in full.counts)
  }
  followed = { kind: 'submitted' }
  t.match(await attempt({ type: 'refuse', envelope: { followUps } }), { end: { kind: 'failed' } })
  t.same(submitted, [], 'nothing follows what failed')
})

t.test('a parent gathers what its children came to, in their order', async (t) => {
  const id = nextId()
  const child = (index: number) => queue.job(`${id}-${index}`)
  await client.hset(`${queue.job(id)}:processed`, child(2), JSON.stringify({ label: 'c' }))
  await client.hset(`${queue.job(id)}:failed`, child(0), encodeJobError('invalid_data', 'A bad one.', jobErrors))
  const parent = { id, type: 'many', envelope: { fanOut: true, data: { labels: ['a', 'b', 'c'] } } } as const
  t.same((await attempt(parent)).end, { kind: 'completed', result: { total: 3, failed: 2, codes: ['invalid_data', 'removed', null] } })
  t.match((await attempt({ ...parent, type: 'echo' })).end, { kind: 'failed', code: 'invalid_data' }, 'of a type that gathers nothing')
})

t.test('an end that Redis did not confirm is told as none', async (t) => {
  const driver = createDriver({ broken: true })
  await t.rejects(attempt({ type: 'busy', driver }), /Redis is gone/)
  t.same(
    lines.filter((line) => line.includes('attempt ended')),
    [],
  )
})
t.end()
