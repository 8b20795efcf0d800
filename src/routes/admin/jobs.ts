// Operators read everything known of one job, whoever's it is.

import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import { queueOfJobId } from '../../bullmq/job-id.js'
import type { Services } from '../../gateway.js'
import { requireScope } from '../../http/authenticate.js'
import { jobNotFound } from '../../http/job-responses.js'
import { problemResponses } from '../../http/problem-schema.js'
import { requireQueueName } from '../../http/queue-param.js'
import { JobRef, jsonResponse } from '../../http/response-schemas.js'
import { Count, operatorTags, QueueParam } from '../../operations/queue-schema.js'
import type { JobError } from '../../types/job-schema.js'
import { closed, Nullable, Time } from '../../types/schema-parts.js'

export interface AdminJobsOptions {
  readonly services: Pick<Services, 'look' | 'readJobRecord'>
}

const JobErrorRef = Type.Unsafe<JobError>(Type.Ref('JobError'))

const JobRecord = Type.Object(
  {
    job: JobRef,
    tenant: Type.String({ description: 'Whose job it is.' }),
    options: Type.Object(
      {
        attempts: Type.Integer({ description: 'How often it is tried.' }),
        backoff: Nullable(
          Type.Object(
            { type: Type.String({ description: 'fixed or exponential.' }), delayMs: Count('Delay before the second attempt, in ms.') },
            closed,
          ),
          { description: 'How long it waits between attempts.' },
        ),
        delayMs: Count('From its creation until it was due, in ms.'),
        timeoutMs: Count('One attempt may take this long, in ms.'),
        expiresAt: Nullable(Time(), { description: 'Not started by then: failed with code `expired`.' }),
      },
      { ...closed, description: 'What it was accepted with.' },
    ),
    attemptsStarted: Count('Attempts that began, lost ones included, since it was last sent back.'),
    stalled: Count('How often a worker died or stalled with it.'),
    deferrals: Count('How often its handler put it off without using up an attempt.'),
    worker: Nullable(Type.String(), { description: 'Instance that ran the latest attempt.' }),
    lockMs: Nullable(Count(''), { description: 'For how long the lock of the running attempt still holds, in ms; null when none runs.' }),
    retriedAt: Nullable(Time(), { description: 'When it was last retried or sent back.' }),
    earlierRuns: Type.Array(
      Type.Object(
        {
          sentBackAt: Time({ description: 'When an operator sent it back.' }),
          attempts: Count('Attempts it had made by then.'),
          finishedAt: Nullable(Time(), { description: 'When it had failed.' }),
          error: JobErrorRef,
        },
        closed,
      ),
      { description: 'How it ended before it was sent back, oldest first; the last ten times.' },
    ),
    stackTraces: Type.Array(Type.String(), {
      description: 'Of its latest unforeseen failures. Outcomes that a handler foresees have none.',
    }),
    logs: Type.Array(Type.String(), { description: 'The newest 200 lines that the handler logged, oldest first.' }),
    logsTotal: Count('Lines that are kept.'),
    traceparent: Nullable(Type.String(), { description: 'W3C trace context of the request that submitted it.' }),
  },
  { ...closed, description: 'Everything known of one job; sensitive members of its data read "***".' },
)

const adminJobs: FastifyPluginAsyncTypebox<AdminJobsOptions> = async (app, { services }) => {
  const { look, readJobRecord } = services

  app.route({
    method: 'GET',
    url: '/admin/queues/:queue/jobs/:id',
    onRequest: requireScope('admin'),
    schema: {
      operationId: 'inspectJob',
      summary: 'Read everything known of a job',
      description: 'The job of any tenant, with its options, attempts, worker, stack traces, logs and earlier runs.',
      tags: operatorTags,
      params: Type.Object({ queue: QueueParam, id: Type.String({ maxLength: 64, description: 'Id of the job.' }) }, closed),
      response: { 200: jsonResponse(JobRecord, 'Everything known of the job.'), ...problemResponses },
    },
    handler: async ({ params: { queue: name, id } }) => {
      const queue = requireQueueName(name)
      if (queueOfJobId(id) !== queue) throw jobNotFound()
      const [found, record] = await Promise.all([look(id), readJobRecord(id)])
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
