// Operators read everything known of one job, whoever's it is.

import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import { queueOfJobId } from '../../bullmq/job-id.js'
import type { Services } from '../../gateway.js'
import { requireScope } from '../../http/authenticate.js'
import { jobNotFound } from '../../http/job-responses.js'
import { problemResponses } from '../../http/problems/problem-schema.js'
import { requireQueueName } from '../../http/queue-param.js'
import { JobRef, jsonResponse } from '../../http/response-schemas.js'
import { Count, operatorTags, QueueParam } from '../../operations/queue-schema.js'
import type { JobError } from '../../types/job-schema.js'
import { closed, Nullable, paramCharsMax, Time } from '../../types/schema-parts.js'

export interface AdminJobsOptions {
  readonly services: Pick<Services, 'queues' | 'readSnapshot' | 'readJobRecord'>
}

const JobErrorRef = Type.Unsafe<JobError>(Type.Ref('JobError'))

const JobRecord = Type.Object(
  {
    job: JobRef,
    tenant: Type.String({ description: 'Tenant that owns the job.' }),
    options: Type.Object(
      {
        attempts: Type.Integer({ description: 'Maximum number of attempts.' }),
        backoff: Nullable(
          Type.Object(
            { type: Type.String({ description: '`fixed` or `exponential`.' }), delayMs: Count('Delay before the second attempt, in ms.') },
            closed,
          ),
          { description: 'Backoff between attempts.' },
        ),
        delayMs: Count('Time from creation until the job was due, in ms.'),
        timeoutMs: Count('Timeout of one attempt, in ms.'),
        expiresAt: Nullable(Time(), { description: 'If the job has not started by then, it fails with code `expired`.' }),
      },
      { ...closed, description: 'Options the job was accepted with.' },
    ),
    attemptsStarted: Count('Attempts started since the job was last redriven, including lost ones.'),
    stalled: Count('How often a worker died or stalled while running it.'),
    deferrals: Count('How often its handler deferred it without using an attempt.'),
    worker: Nullable(Type.String(), { description: 'Instance that ran the latest attempt.' }),
    lockMs: Nullable(Count(''), {
      description: 'How long the lock of the running attempt is still valid, in ms; null if no attempt is running.',
    }),
    retriedAt: Nullable(Time(), { description: 'When it was last retried or redriven.' }),
    earlierRuns: Type.Array(
      Type.Object(
        {
          sentBackAt: Time({ description: 'When an operator redrove it.' }),
          attempts: Count('Attempts made by then.'),
          finishedAt: Nullable(Time(), { description: 'When the job failed.' }),
          error: JobErrorRef,
        },
        closed,
      ),
      { description: 'How it ended before each redrive, oldest first; the last ten times.' },
    ),
    stackTraces: Type.Array(Type.String(), {
      description: 'Stack traces of its latest unexpected failures. Expected outcomes have none.',
    }),
    logs: Type.Array(Type.String(), { description: 'The newest 200 lines that the handler logged, oldest first.' }),
    logsTotal: Count('Number of lines that are retained.'),
    traceparent: Nullable(Type.String(), { description: 'W3C trace context of the request that submitted it.' }),
  },
  { ...closed, description: 'Everything known about one job. Sensitive members of its data appear as "***".' },
)

const adminJobs: FastifyPluginAsyncTypebox<AdminJobsOptions> = async (app, { services }) => {
  const { queues, readSnapshot, readJobRecord } = services

  app.route({
    method: 'GET',
    url: '/admin/queues/:queue/jobs/:id',
    onRequest: requireScope('admin'),
    schema: {
      operationId: 'inspectJob',
      summary: 'Read a job in full',
      description: 'A job of any tenant, with its options, attempts, worker, stack traces, logs and earlier runs.',
      tags: operatorTags,
      params: Type.Object({ queue: QueueParam, id: Type.String({ maxLength: paramCharsMax, description: 'ID of the job.' }) }, closed),
      response: { 200: jsonResponse(JobRecord, 'Everything known about the job.'), ...problemResponses },
    },
    handler: async ({ params: { queue: name, id } }) => {
      const queue = requireQueueName(queues, name)
      if (queueOfJobId(id) !== queue) throw jobNotFound()
      const [found, record] = await Promise.all([readSnapshot(id), readJobRecord(id)])
      if (!found || !record) throw jobNotFound()
      const { options, retriedAt, earlierRuns } = record
      return {
        job: found.view,
        ...record,
        options: { ...options, expiresAt: toTimeOrNull(options.expiresAt) },
        retriedAt: toTimeOrNull(retriedAt),
        earlierRuns: earlierRuns.map((run) => ({
          ...run,
          sentBackAt: toTime(run.sentBackAt),
          finishedAt: toTimeOrNull(run.finishedAt),
        })),
      }
    },
  })
}

const toTime = (at: number): string => new Date(at).toISOString()
const toTimeOrNull = (at: number | null): string | null => (at === null ? null : toTime(at))

export default adminJobs
