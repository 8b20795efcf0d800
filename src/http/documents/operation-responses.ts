// What routes that begin a long operation have in common.

import type { FastifyReply } from 'fastify'
import type { Operations, OperationWanted } from '../../operations/runner.js'
import { EstimateRef, OperationRef, toOperationView } from '../../operations/schema.js'
import { problem } from '../problems/problem-json.js'
import { problemResponse, problemResponses } from '../problems/problem-schema.js'
import { jsonResponse } from '../response-schemas.js'

/** Seconds after which looking at a running operation again makes sense. */
export const operationPollSeconds = 1

const operationAddress = (id: string): string => `/admin/operations/${id}`

const location = { Location: { type: 'string', description: 'URL of the operation.' } } as const

/** Answers of a route that begins an operation. */
export const operationResponses = {
  200: jsonResponse(EstimateRef, 'A dry run: nothing was changed.'),
  202: ((answer) => ({ ...answer, headers: { ...answer.headers, ...location } }))(
    jsonResponse(OperationRef, 'The operation is running; follow it at `Location`.', ['Retry-After']),
  ),
  409: problemResponse('An operation of this kind is already running in this queue (see `Location`), or jobs are running.', location),
  ...problemResponses,
}

/** Starts the operation and returns 202, or returns 200 with what it would do. */
export const sendOperation = async (
  reply: FastifyReply,
  operations: Operations,
  wanted: OperationWanted,
  { dryRun, force = false }: { dryRun: boolean; force?: boolean | undefined },
) => {
  if (dryRun) {
    const estimate = await operations.estimate(wanted)
    return reply.code(200).send({ dryRun: true, kind: wanted.kind, queue: wanted.queue, ...estimate })
  }
  const outcome = await operations.start(wanted, { force })
  switch (outcome.kind) {
    case 'running':
      throw problem('operation-running', 'An operation of this kind is already running in this queue; see Location.', {
        headers: { location: operationAddress(outcome.id) },
      })
    case 'busy':
      throw problem('queue-busy', `${outcome.active} ${outcome.active === 1 ? 'job is' : 'jobs are'} running in this queue.`)
    case 'started':
      return reply
        .code(202)
        .header('location', operationAddress(outcome.operation.id))
        .header('retry-after', String(operationPollSeconds))
        .send(toOperationView(outcome.operation))
  }
}
