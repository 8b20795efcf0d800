// What keeps gateways and workers from starting: wrong settings, told in one line, with nothing left running.

import { createHook } from 'node:async_hooks'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pino } from 'pino'
import t, { type Test } from 'tap'
import { buildApp } from '../src/app.js'
import { loadBuiltinConfig } from '../src/builtin/config.js'
import { openServices } from '../src/gateway.js'
import { openEmbeddedRedis } from '../src/redis/embedded.js'
import { createScope, type Scope } from '../src/runtime/scope.js'
import { createJobTypes } from '../src/types/registry.js'
import { openWorkers } from '../src/worker.js'
import { eventually } from './helpers/eventually.js'

const log = pino({ level: 'silent' })
const jobTypes = createJobTypes([])

t.test('an integration that cannot be opened stops the start', async (t) => {
  const dataDir = await mkdtemp(join(tmpdir(), 'jg-'))
  t.after(() => rm(dataDir, { recursive: true, force: true }))
  const open = async (env: Record<string, string>) =>
    openServices({
      config: loadBuiltinConfig({ DATA_DIR: dataDir, ADMIN_API_KEY: 'admin-key-of-the-tests', ...env }, dataDir),
      jobTypes,
      log,
    })
  const wrong = { SMTP_URL: 'smtp://127.0.0.1:1', MAIL_FROM: 'nobody' }

  await t.rejects(open({ ...wrong, WORKERS_ENABLED: 'true' }), { message: /^Configuration: MAIL_FROM/ })
  await t.rejects(open({ EMAIL_TEMPLATE_DIR: join(dataDir, 'nowhere') }), { message: /^EMAIL_TEMPLATE_DIR/ })
  const gateway = await open(wrong)
  t.after(() => gateway.close())
  t.pass('a gateway without workers sends no e-mails; the Redis of the attempts before is gone')

  const url = `unix://${gateway.redis.socketPath}`
  const workers = openWorkers({ config: loadBuiltinConfig({ ...wrong, REDIS_URL: url }, dataDir), jobTypes, log })
  await t.rejects(workers, { message: /^Configuration: MAIL_FROM/ })
})

t.test('a setting of a form that cannot be used is told by its name, in one line', async (t) => {
  const cases: [Record<string, string>, RegExp][] = [
    [{ REDIS_HOST: 'redis.example', REDIS_TLS_CA_FILE: '/no/such/file' }, /^Configuration: cannot read the file in REDIS_TLS_CA_FILE/],
    [{ REDIS_CLUSTER_NODES: 'a:99999' }, /^Configuration: REDIS_CLUSTER_NODES must be a comma-separated list of host:port/],
    [{ REDIS_SENTINELS: 'a:0' }, /^Configuration: REDIS_SENTINELS must be/],
    ...['proxy', '10.0.0.0/33', '10.0.0.0/8/8', '::1/129', '10.0.0'].map((entry): [Record<string, string>, RegExp] => [
      { TRUST_PROXY: `127.0.0.1,${entry}` },
      /^Configuration: TRUST_PROXY must be a comma-separated list of addresses/,
    ]),
  ]
  for (const [env, message] of cases) t.throws(() => loadBuiltinConfig(env, tmpdir()), { message }, JSON.stringify(env))
  t.same(loadBuiltinConfig({ TRUST_PROXY: 'loopback, 10.0.0.0/8, ::1' }, tmpdir()).http.trustProxy, ['loopback', '10.0.0.0/8', '::1'])
})

/** What keeps the process alive, and timers that do not, each with how many there are. */
const trackResources = (t: Test) => {
  const timers = new Set<number>()
  const hook = createHook({
    init: (id, type) => type === 'Timeout' && timers.add(id),
    destroy: (id) => timers.delete(id),
  }).enable()
  t.after(() => hook.disable())
  return () => {
    const counts: Record<string, number> = { timers: timers.size }
    for (const type of process.getActiveResourcesInfo())
      if (type !== 'Timeout' && type !== 'Immediate') counts[type] = (counts[type] ?? 0) + 1
    return counts
  }
}

interface Process {
  readonly start: (scope: Scope) => Promise<{ close(): Promise<void>; ready: Promise<unknown> | (() => Promise<unknown>) }>
  /** Of what is opened, names that must close in this order. */
  readonly closing: readonly string[]
}

/** What was closed may take this long to go. */
const patienceMs = 10_000

/** Gives the check that nothing is open which is not open now. */
const watchForLeftovers = (t: Test) => {
  const count = trackResources(t)
  const before = count()
  return async (after: string) => {
    let left: [string, number][] = []
    const isNothingLeft = async () => {
      // The timer that this was called by is gone then.
      await new Promise((resolve) => setImmediate(resolve))
      left = Object.entries(count()).filter(([type, most]) => most > (before[type] ?? 0))
      return left.length === 0
    }
    await eventually(after, isNothingLeft, patienceMs).catch(() => {})
    t.same(left, [], `nothing is left after ${after}`)
  }
}

/** Starts once for each thing that the start opens, which then fails, and once with success. */
const failEach = async (t: Test, { start, closing }: Process) => {
  const nothingLeft = watchForLeftovers(t)
  const steps: { step: string; name: string }[] = []
  const failing = async (at: number) => {
    let opened = 0
    const scope = createScope({
      watch: (step, name) => {
        steps.push({ step, name })
        if (step === 'opening' && opened++ === at) throw new Error(`${name} fails`)
      },
    })
    const started = await start(scope)
    await (typeof started.ready === 'function' ? started.ready() : started.ready).catch((error: Error) => {
      if (at === Number.POSITIVE_INFINITY) throw error
    })
    await started.close()
  }
  const namesOf = (wanted: string) => steps.filter(({ step }) => step === wanted).map(({ name }) => name)

  await failing(Number.POSITIVE_INFINITY)
  const names = namesOf('opening')
  t.same(
    namesOf('closing').filter((name) => names.includes(name)),
    names.toReversed(),
    'closes in reverse',
  )
  t.same(
    namesOf('closing').filter((name) => closing.includes(name)),
    closing,
  )
  await nothingLeft('success')
  for (const [at, name] of names.entries()) {
    await failing(at).catch((error: Error) => t.equal(error.message, `${name} fails`))
    await nothingLeft(`${name} failed`)
  }
}

/** Whatever can be opened is opened. */
const everything = {
  ANALYSIS_THREADS: '1',
  DURABILITY: 'fsync',
  OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:1',
  SHUTDOWN_GRACE_MS: '0',
  SMTP_URL: 'smtp://127.0.0.1:1',
  MAIL_FROM: 'jobs@example.com',
  WORKER_METRICS_PORT: '0',
  WORKERS_ENABLED: 'true',
}

t.test('whichever open of a gateway fails, nothing is left', async (t) => {
  const dataDir = await mkdtemp(join(tmpdir(), 'jg-'))
  t.after(() => rm(dataDir, { recursive: true, force: true }))
  const config = loadBuiltinConfig({ ...everything, DATA_DIR: dataDir }, dataDir)
  await failEach(t, {
    start: (scope) => openServices({ config, jobTypes, log, scope }),
    closing: ['workers: worker pool', 'operations', 'job events', 'API keys', 'queues', 'redis', 'tracing'],
  })
})

t.test('whichever open of a worker fails, nothing is left', async (t) => {
  const dataDir = await mkdtemp(join(tmpdir(), 'jg-'))
  const redis = await openEmbeddedRedis({ dataDir, share: false, alwaysSync: true, log })
  t.after(async () => {
    await redis.close()
    await rm(dataDir, { recursive: true, force: true })
  })
  const config = loadBuiltinConfig({ ...everything, DATA_DIR: dataDir }, dataDir)
  await failEach(t, {
    start: (scope) => openWorkers({ config, jobTypes, log, scope }),
    closing: ['worker pool', 'metrics listener', 'integrations', 'queues', 'redis', 'tracing'],
  })
})

t.test('an application that cannot be built leaves nothing', async (t) => {
  const dataDir = await mkdtemp(join(tmpdir(), 'jg-'))
  t.after(() => rm(dataDir, { recursive: true, force: true }))
  const config = loadBuiltinConfig({ DATA_DIR: dataDir }, dataDir)
  const nothingLeft = watchForLeftovers(t)
  const services = await openServices({ config, jobTypes, log })
  let failures = 0
  for (const name of Object.keys(services)) {
    const broken = Object.defineProperty({ ...services }, name, {
      get: () => {
        throw new Error(`no ${name}`)
      },
    })
    try {
      await (await buildApp(broken)).close()
    } catch (error) {
      t.equal((error as Error).message, `no ${name}`)
      failures++
    }
  }
  t.ok(failures > 5, `${failures} ways to fail`)
  await services.close()
  await nothingLeft('applications that failed')
})
