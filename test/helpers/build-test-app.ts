// The whole product in the test's process: embedded Redis, services, application, and probes as job types.

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Writable } from 'node:stream'
import type { InjectOptions, LightMyRequestResponse } from 'fastify'
import { pino } from 'pino'
import { type App, buildApp } from '../../src/app.js'
import { type BuiltinConfig, loadBuiltinConfig } from '../../src/builtin/config.js'
import type { QueueKeys } from '../../src/bullmq/queue-keys.js'
import { openServices, type Services } from '../../src/gateway.js'
import { toLoggerOptions } from '../../src/telemetry/logger.js'
import type { JobType } from '../../src/types/definition.js'
import type { DeclaredType } from '../../src/types/modules/declare.js'
import type { BuiltinQueue } from '../../src/types/queue-name.js'
import { createJobTypes } from '../../src/types/registry.js'
import { checkAnswer } from './openapi-answers.js'
import { createProbes } from './probe-job-types.js'
import { patience } from './start-redis.js'

export const adminKey = 'admin-key-of-the-tests'

export interface TestApp {
  readonly app: App
  readonly services: Services & { readonly queueKeys: Readonly<Record<BuiltinQueue, QueueKeys>> }
  readonly config: BuiltinConfig
  readonly probes: ReturnType<typeof createProbes>
  /** Every line that was logged. */
  readonly logs: string[]
  /** Injects a request with the admin key; the answer is checked against the OpenAPI document. */
  request(options: InjectOptions & { key?: string | null }): Promise<LightMyRequestResponse>
  /** POSTs a job. */
  submit(body: unknown, headers?: Record<string, string>): Promise<LightMyRequestResponse>
  /** Reads a job once it has finished. */
  finished(id: string): Promise<Record<string, unknown>>
}

/**
 * A length for RATE_LIMIT_WINDOW_MS, about a day, whose present window has just begun. Windows follow the wall clock:
 * a fixed length would end in the middle of the test now and then.
 */
export const freshRateWindowMs = (): string => {
  const now = Date.now()
  return String(Math.floor(now / Math.ceil(now / 86_400_000)))
}

const terminalStates = new Set(['completed', 'failed', 'cancelled'])

interface Options {
  /** Environment on top of the defaults for tests. */
  readonly env?: Record<string, string>
  /** Job types instead of the probes. */
  readonly types?: readonly JobType[]
  /** What the modules of JOB_TYPES_DIR would declare. */
  readonly modules?: readonly DeclaredType[]
  /** Give Redis no longer than the product does. */
  readonly isHasty?: boolean
  /** Share the Redis, and the data, of another app of the test. */
  readonly beside?: TestApp
}

/** Closed when the test ends. */
export const buildTestApp = async (
  t: { after(handler: () => unknown): void },
  { env = {}, types, modules = [], beside, isHasty = false }: Options = {},
): Promise<TestApp> => {
  const dataDir = await mkdtemp(join(tmpdir(), 'jg-'))
  const shared = beside ? { REDIS_URL: `unix://${beside.services.redis.socketPath}` } : {}
  const loaded = loadBuiltinConfig(
    {
      ADMIN_API_KEY: adminKey,
      DATA_DIR: dataDir,
      LOG_LEVEL: 'debug',
      RATE_LIMIT_MAX: '1000000',
      QUEUE_CONCURRENCY_DEFAULT: '10',
      WORKERS_ENABLED: 'true',
      SHUTDOWN_GRACE_MS: '0',
      // A test machine may be as slow as it likes.
      MAX_EVENT_LOOP_DELAY_MS: '0',
      ...shared,
      ...env,
    },
    dataDir,
  )
  const config = isHasty ? loaded : { ...loaded, redis: { ...loaded.redis, patience } }
  const logs: string[] = []
  const log = pino(
    toLoggerOptions({ level: config.logLevel }),
    new Writable({
      write: (chunk, _encoding, done) => {
        logs.push(String(chunk))
        done()
      },
    }),
  )
  const probes = beside?.probes ?? createProbes()
  const opened = await openServices({ config, jobTypes: createJobTypes(types ?? probes.types), log, modules })
  const queueKeys = Object.fromEntries(opened.queues.all().map((keys) => [keys.queue, keys])) as TestApp['services']['queueKeys']
  const services = { ...opened, queueKeys }
  const app = await buildApp(services)
  await app.ready()
  await services.ready()
  t.after(async () => {
    await app.close()
    await services.close()
    await rm(dataDir, { recursive: true, force: true })
  })

  const request: TestApp['request'] = async ({ key = adminKey, headers, ...options }) => {
    const answer = await app.inject({ ...options, headers: { ...(key === null ? {} : { authorization: `Bearer ${key}` }), ...headers } })
    checkAnswer(app, options, answer)
    return answer
  }
  return {
    app,
    services,
    config,
    probes,
    logs,
    request,
    submit: (payload, headers = {}) => request({ method: 'POST', url: '/v1/jobs', payload: payload as object, headers }),
    finished: async (id) => {
      for (;;) {
        const answer = await request({ method: 'GET', url: `/v1/jobs/${id}?waitMs=20000` })
        const job = answer.json()
        if (answer.statusCode !== 200 || terminalStates.has(job.state)) return job
      }
    },
  }
}
