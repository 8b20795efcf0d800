// What the buttons of the dashboard do: what the operators' routes do, by the same services and into the same audit trail.

import type { KnownQueues } from '../../bullmq/queues.js'
import { jobNotFound } from '../../http/job-responses.js'
import { problem } from '../../http/problems/problem-json.js'
import { requireQueueName } from '../../http/queue-param.js'
import type { JobControl } from '../../jobs/control.js'
import type { Audit } from '../../operations/audit.js'
import type { QueueControl } from '../../operations/queue-control.js'
import type { OperationKind } from '../../operations/records.js'
import type { Operations } from '../../operations/runner.js'
import type { QueueName } from '../../types/queue-name.js'

export interface BoardActDeps {
  readonly audit: Audit
  readonly control: JobControl
  readonly operations: Operations
  readonly queueControl: QueueControl
  readonly queues: KnownQueues
}

/** `by` is the id of the API key. */
interface Wanted {
  readonly by: string
  readonly params: Readonly<Record<string, string>>
  readonly body: unknown
}

type Act = (deps: BoardActDeps, wanted: Wanted) => Promise<unknown>

const queueOf = ({ queues }: BoardActDeps, { params }: Wanted): QueueName => requireQueueName(queues, params['queueName'] ?? '')

/** The id was checked before: it is one of this queue. */
const jobOf = (deps: BoardActDeps, wanted: Wanted): { queue: QueueName; id: string } => ({
  queue: queueOf(deps, wanted),
  id: wanted.params['jobId'] ?? '',
})

const operate =
  (kind: OperationKind): Act =>
  async (deps, wanted) => {
    const force = (wanted.body as { force?: unknown } | null | undefined)?.force === true
    const outcome = await deps.operations.start({ kind, queue: queueOf(deps, wanted), by: wanted.by, request: {} }, { force })
    if (outcome.kind === 'running') throw problem('operation-running', 'An operation of this kind is already running in this queue.')
    if (outcome.kind === 'busy') throw problem('queue-busy', `${outcome.active} jobs are running in this queue.`)
  }

const retry: Act = async (deps, wanted) => {
  const { queue, id } = jobOf(deps, wanted)
  const { kind } = await deps.control.retry(queue, id)
  if (kind === 'missing') throw jobNotFound()
  if (kind !== 'retried') throw problem('job-state-conflict', 'Only a failed or cancelled job can be retried.')
  await deps.audit.note({ by: wanted.by, act: 'job.retried', queue, details: { jobId: id } })
}

const promote: Act = async (deps, wanted) => {
  const { queue, id } = jobOf(deps, wanted)
  const outcome = await deps.control.promote(queue, id)
  if (outcome === 'missing') throw jobNotFound()
  if (outcome === 'conflict') throw problem('job-state-conflict', 'Only a delayed job can be promoted.')
  await deps.audit.note({ by: wanted.by, act: 'job.promoted', queue, details: { jobId: id } })
}

/** By method and route of bull-board 9.10. */
const acts: Readonly<Record<string, Act>> = {
  'PUT /api/queues/pause': ({ queueControl }, { by }) => queueControl.pauseAll(by),
  'PUT /api/queues/resume': ({ queueControl }, { by }) => queueControl.resumeAll(by),
  'PUT /api/queues/:queueName/pause': (deps, wanted) => deps.queueControl.pause(queueOf(deps, wanted), wanted.by),
  'PUT /api/queues/:queueName/resume': (deps, wanted) => deps.queueControl.resume(queueOf(deps, wanted), wanted.by),
  'PUT /api/queues/:queueName/promote': operate('promote-delayed'),
  'PUT /api/queues/:queueName/empty': operate('drain'),
  'PUT /api/queues/:queueName/obliterate': operate('obliterate'),
  'PUT /api/queues/:queueName/:jobId/retry': retry,
  'PUT /api/queues/:queueName/:jobId/promote': promote,
}

const retryFailed = operate('retry-failed')

/**
 * Carries out an act of the dashboard. `route` is its method and pattern.
 * Throws `forbidden` for what would break promises of the gateway: jobs that no schema has checked, data that were masked
 * and are written back, limits that no setting knows.
 */
export const carryOutBoardAct = async (deps: BoardActDeps, route: string, wanted: Wanted): Promise<void> => {
  const isRetryAll = route === 'PUT /api/queues/:queueName/retry/:queueStatus'
  const act = isRetryAll && wanted.params['queueStatus'] === 'failed' ? retryFailed : acts[route]
  if (!act) {
    throw problem(
      'forbidden',
      'The dashboard does not support this. Submit jobs with POST /v1/jobs; for everything else, see the operators section in /docs.',
    )
  }
  await act(deps, wanted)
}
