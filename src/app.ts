// The HTTP application: plugins and routes in order, as a table of contents. It never listens.

import accepts from '@fastify/accepts'
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import Fastify from 'fastify'
import { ApiKey, ApiKeySecret } from './auth/api-key-schemas.js'
import type { Services } from './gateway.js'
import authenticate from './http/authenticate.js'
import jsonBody from './http/bodies/json-body.js'
import openapi from './http/documents/openapi.js'
import { createSubmissionSchemas } from './http/documents/submission-schemas.js'
import gracefulClose from './http/graceful-close.js'
import prefer from './http/headers/prefer.js'
import wellFormedQuery from './http/headers/well-formed-query.js'
import httpMetrics from './http/http-metrics.js'
import connections from './http/limits/connections.js'
import longPoll from './http/limits/long-poll.js'
import overload from './http/limits/overload.js'
import rateLimit from './http/limits/rate-limit.js'
import problemJson from './http/problems/problem-json.js'
import { Problem } from './http/problems/problem-schema.js'
import { createReadiness } from './http/readiness.js'
import requestLog from './http/request-log.js'
import { toServerOptions } from './http/server-options.js'
import sse from './http/sse.js'
import traceRequests from './http/trace-requests.js'
import {
  Beat,
  BeatResult,
  Lease,
  LeasedJob,
  LeaseRequest,
  RemoteWorker,
  Settlement,
  SettleResult,
  settlementForms,
} from './leases/schema.js'
import { EstimateView, OperationView } from './operations/schema.js'
import adminApiKeys from './routes/admin/api-keys.js'
import adminBoard from './routes/admin/board.js'
import adminDeadLetters from './routes/admin/dead-letters.js'
import adminEmailTemplates, { EmailTemplate } from './routes/admin/email-templates.js'
import adminHealth, { QueueHealth, QueueMetrics } from './routes/admin/health.js'
import adminJobs from './routes/admin/jobs.js'
import adminOperations from './routes/admin/operations.js'
import adminQueues from './routes/admin/queues.js'
import batch, { BatchResult } from './routes/batch.js'
import documents from './routes/documents.js'
import home from './routes/home.js'
import inbound from './routes/inbound.js'
import jobControl from './routes/job-control.js'
import jobEvents from './routes/job-events.js'
import { JobTypeVersion, JobTypeView, RegisteredJobType } from './routes/job-type-views.js'
import jobTypes from './routes/job-types.js'
import jobs from './routes/jobs.js'
import leases from './routes/leases.js'
import metrics from './routes/metrics.js'
import probes from './routes/probes.js'
import registerJobTypes from './routes/register-job-types.js'
import schedules from './routes/schedules.js'
import singleLease from './routes/single-lease.js'
import submit from './routes/submit.js'
import workers from './routes/workers.js'
import { ScheduleOptions, ScheduleView } from './schedules/schema.js'
import { JobError, JobOptions, JobState, JobView, Metadata } from './types/job-schema.js'

type SubmissionSchemas = ReturnType<typeof createSubmissionSchemas>

/** Known to every route alike: routes with schemas of their own would each bring three validators with all of these again. */
const sharedSchemas = [
  Problem,
  JobState,
  JobOptions,
  Metadata,
  JobError,
  JobView,
  BatchResult,
  JobTypeView,
  JobTypeVersion,
  RegisteredJobType,
  ScheduleOptions,
  ScheduleView,
  OperationView,
  EstimateView,
  QueueHealth,
  QueueMetrics,
  ApiKey,
  ApiKeySecret,
  EmailTemplate,
  LeaseRequest,
  LeasedJob,
  Lease,
  Beat,
  BeatResult,
  ...settlementForms,
  Settlement,
  SettleResult,
  RemoteWorker,
]

/** Builds the application over opened services; closing it leaves them open. When it fails, nothing of the application is left. */
export const buildApp = async (services: Services) => {
  const submissions = createSubmissionSchemas(services.jobTypes)
  const app = createServer(services, submissions)
  try {
    await registerAll(app, services, submissions)
  } catch (error) {
    await app.close()
    throw error
  }
  return app
}

const createServer = ({ config, log }: Services, submissions: SubmissionSchemas) =>
  Fastify({
    ...toServerOptions({
      loggerInstance: log,
      trustProxy: config.http.trustProxy,
      bodyLimitBytes: config.http.bodyLimitBytes,
      ownChecks: submissions,
    }),
  }).withTypeProvider<TypeBoxTypeProvider>()

const registerAll = async (app: ReturnType<typeof createServer>, services: Services, submissions: SubmissionSchemas) => {
  const { config } = services
  for (const schema of [...sharedSchemas, ...submissions.shared]) app.addSchema(schema)

  await app.register(connections, { unreadMs: config.http.ndjsonIdleMs })
  await app.register(httpMetrics, { metrics: services.metrics })
  await app.register(requestLog, { trustTrace: config.http.trustTrace })
  if (services.tracing) await app.register(traceRequests, { tracing: services.tracing, trustTrace: config.http.trustTrace })
  await app.register(problemJson)
  await app.register(gracefulClose)
  await app.register(overload, {
    maxInFlight: config.http.maxInFlight,
    maxDelayMs: config.http.maxEventLoopDelayMs,
    metrics: services.metrics,
  })
  await app.register(rateLimit, {
    redis: services.redis.connect('limiter'),
    keys: services.keys,
    max: config.http.rateLimitMax,
    windowMs: config.http.rateLimitWindowMs,
  })
  await app.register(accepts)
  await app.register(prefer)
  await app.register(wellFormedQuery)
  await app.register(jsonBody, { bodyTimeoutMs: config.http.bodyTimeoutMs })
  await app.register(sse, {})
  await app.register(openapi)

  await app.register(documents, { services })
  const readiness = createReadiness({
    redis: services.redis.request,
    durabilityFault: services.durabilityFault,
    isStopping: app.isStopping,
    isOverloaded: app.isOverloaded,
  })
  await app.register(home, { readiness })
  await app.register(probes, { readiness })
  await app.register(metrics, { metrics: services.metrics, token: config.metrics.token })
  await app.register(inbound, { services })
  await app.register(adminBoard, { services })

  await app.register(async (scope) => {
    await scope.register(authenticate, { apiKeys: services.apiKeys })
    await scope.register(longPoll, { maxWaitMs: config.http.maxWaitMs, maxWaiters: config.http.maxWaiters, metrics: services.metrics })

    await scope.register(submit, { services, submission: submissions.submission })
    await scope.register(batch, { services, batchItem: submissions.batchItem, check: submissions.checkBatchItem })
    await scope.register(jobs, { services })
    await scope.register(jobControl, { services })
    await scope.register(jobEvents, { services })
    await scope.register(jobTypes, { services })
    await scope.register(registerJobTypes, { services })
    await scope.register(leases, { services })
    await scope.register(singleLease, { services })
    await scope.register(workers, { services })
    await scope.register(schedules, { services, schedule: submissions.schedule })
    await scope.register(adminHealth, { metrics: services.queueMetrics, limits: config.queues, queues: services.queues })
    await scope.register(adminQueues, {
      control: services.queueControl,
      audit: services.audit,
      jobTypes: services.jobTypes,
      metrics: services.queueMetrics,
      queues: services.queues,
    })
    await scope.register(adminJobs, { services })
    await scope.register(adminOperations, { operations: services.operations, queues: services.queues })
    await scope.register(adminDeadLetters, { operations: services.operations, list: services.deadLetters, queues: services.queues })
    await scope.register(adminApiKeys, { apiKeys: services.apiKeys })
    await scope.register(adminEmailTemplates, { templates: services.emailTemplates })
  })
}

export type App = Awaited<ReturnType<typeof buildApp>>
