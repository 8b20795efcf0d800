// Programs elsewhere lease jobs, show that they live, and settle: many leases at once.

import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { type TSchema, Type } from '@sinclair/typebox'
import type { FastifyRequest } from 'fastify'
import type { Services } from '../gateway.js'
import { requireScope } from '../http/authenticate.js'
import { bodyProblem, findLargeNotes, requireSmallNotes, toBodyDetails, toSettleProblem } from '../http/lease-responses.js'
import { problem, toProblemDetails, toProblemDocument } from '../http/problems/problem-json.js'
import { type Problem, problemResponse, problemResponses } from '../http/problems/problem-schema.js'
import type { ProblemDetails } from '../http/problems/problem-types.js'
import { createRequireLeasedTypes } from '../http/require-types.js'
import { jsonResponse } from '../http/response-schemas.js'
import type { LeaseOutcome } from '../leases/lease.js'
import { leaseIdCharsMax } from '../leases/lease-id.js'
import {
  Beat,
  BeatResult,
  checkedSettlement,
  itemsMax,
  Lease,
  LeaseRequest,
  Settlement,
  SettleResult,
  WorkerName,
  WorkerOrder,
} from '../leases/schema.js'
import type { SettleOutcome } from '../leases/settle.js'
import { toFieldProblems } from '../types/field-problems.js'
import { closed, headerCharsMax } from '../types/schema-parts.js'
import { createOwnValidator } from '../types/validator.js'
import { requireIdempotencyKey } from './submit.js'

export interface LeasesOptions {
  readonly services: Pick<Services, 'catalog' | 'config' | 'jobTypes' | 'leases'>
}

const refTo = <T extends TSchema>(schema: T): T => Type.Ref(schema.$id as string) as unknown as T

const heartbeatBody = (beat: TSchema) =>
  Type.Object(
    {
      worker: WorkerName,
      leases: Type.Array(beat, { maxItems: itemsMax, description: 'May be empty: the answer still says what the worker is to do.' }),
    },
    { ...closed, description: 'Signs of life of one worker.' },
  )

const settleBody = (item: TSchema) =>
  Type.Object(
    { items: Type.Array(item, { minItems: 1, maxItems: itemsMax }) },
    { ...closed, description: `Up to ${itemsMax} settlements.` },
  )

interface SettleAnswer {
  readonly lease: string | null
  readonly status: number
  readonly outcome?: string
  readonly error?: Problem
}

const leases: FastifyPluginAsyncTypebox<LeasesOptions> = async (app, { services }) => {
  const { config } = services
  const { heartbeat, lease, release, settle } = services.leases
  const checkSettlement = createOwnValidator(checkedSettlement)
  app.addHook('preHandler', createRequireLeasedTypes(services.catalog, services.jobTypes))

  app.route({
    method: 'POST',
    url: '/v1/leases',
    onRequest: requireScope('work'),
    schema: {
      operationId: 'leaseJobs',
      summary: 'Lease jobs',
      description: [
        'Hands out up to `max` jobs of the given types, with their data in clear, for the caller to run. If there is none, the response is sent when',
        'a job arrives or `waitMs` is over; `items` is empty then. Whoever has waited longest is served first. Send a heartbeat every third of',
        '`leaseMs`, and settle each lease. A lease that expires counts as a lost worker, and its job is leased to another one. With an',
        'Idempotency-Key, a request that is repeated within `leaseMs` returns the same leases, except those that are over.',
        'Large data can make it fewer jobs than asked for: the response ends after about 4 MB of them.',
      ].join(' '),
      tags: ['workers'],
      headers: Type.Object({
        'Idempotency-Key': Type.Optional(
          Type.String({ maxLength: headerCharsMax, description: 'Makes this request safe to retry: no lease is lost with the response.' }),
        ),
      }),
      body: refTo(LeaseRequest),
      response: {
        200: jsonResponse(
          Type.Object({ items: Type.Array(refTo(Lease)) }, { ...closed, description: 'The leases.' }),
          'The leases; empty if there was no job in time.',
          ['Idempotent-Replayed'],
        ),
        422: problemResponse('The Idempotency-Key was used for another request.'),
        ...problemResponses,
      },
    },
    handler: async (request, reply) => {
      const key = requireIdempotencyKey(request, { ...config.idempotency, required: false })
      const { waitMs = 0 } = request.body
      const wait = request.grantWait(reply, waitMs === 0 ? null : waitMs)
      let outcome: LeaseOutcome
      try {
        const context = { caller: request.principal, key, version: request.headers['user-agent'] }
        outcome = await lease(request.body, { ...context, waitMs: wait?.waitMs ?? 0, signal: wait?.signal })
      } finally {
        wait?.end()
      }
      const ended = wait?.keyProblem() ?? null
      if (outcome.kind === 'invalid') throw bodyProblem(outcome.errors)
      if (outcome.kind === 'reused') {
        throw problem('idempotency-key-reused', 'This Idempotency-Key was already used with another request.')
      }
      // Nobody is there to take them, or to be trusted with them.
      if (ended || (reply.raw.destroyed && key === null && !outcome.replayed)) await release(request.principal, outcome.leases)
      if (ended) throw ended
      if (outcome.replayed) reply.header('idempotent-replayed', 'true')
      return { items: outcome.leases }
    },
  })

  app.route({
    method: 'POST',
    url: '/v1/leases/heartbeat',
    onRequest: requireScope('work'),
    schema: {
      operationId: 'heartbeatLeases',
      summary: 'Send heartbeats',
      description: [
        'Extends leases from now, each by its own `leaseMs` or by that of its last heartbeat, and stores what comes with them. Any instance answers.',
        'A lease of a cancelled job is not extended: its settlement ends the job as `cancelled`, whatever it says. `worker` says whether the',
        'worker is to go on.',
      ].join(' '),
      tags: ['workers'],
      body: heartbeatBody(refTo(Beat)),
      response: {
        200: jsonResponse(
          Type.Object(
            { worker: WorkerOrder, items: Type.Array(refTo(BeatResult)) },
            { ...closed, description: 'One answer for each heartbeat.' },
          ),
          'One answer for each heartbeat, in their order.',
        ),
        ...problemResponses,
      },
    },
    handler: async (request) => {
      const { worker, leases: beats } = request.body as { worker: string; leases: Beat[] }
      requireSmallNotes(beats, (at) => `#/leases/${at}`)
      const version = request.headers['user-agent']
      const { order, outcomes } = await heartbeat.ofWorker(request.principal, { worker, beats, version })
      const items = outcomes.map((each) => (each.status === 'unknown' ? { lease: each.lease, status: 'lost', expiresAt: null } : each))
      return { worker: order, items: items as BeatResult[] }
    },
  })

  app.route({
    method: 'POST',
    url: '/v1/leases/settle',
    onRequest: requireScope('work'),
    // Documented is what a settlement should be; checked here is only the frame, since they are judged one by one.
    config: { documentedBody: { content: { 'application/json': { schema: settleBody(refTo(Settlement)) } } } },
    schema: {
      operationId: 'settleLeases',
      summary: 'Settle leases',
      description: [
        'Says how attempts ended. Settlements are independent: one that is refused does not affect the others. The same settlement again is 200;',
        'another one for the same lease is 409 `lease-settled`, and one for a lease that is over is 409 `lease-lost` and changes nothing.',
        'A result that does not match its schema is 422 `result-invalid`, and the lease goes on.',
      ].join(' '),
      tags: ['workers'],
      body: settleBody(Type.Any()),
      response: {
        207: jsonResponse(
          Type.Object({ items: Type.Array(refTo(SettleResult)) }, { ...closed, description: 'One answer for each settlement.' }),
          'One answer for each settlement, in their order.',
        ),
        ...problemResponses,
      },
    },
    handler: async (request, reply) => {
      const { items } = request.body as { items: unknown[] }
      const answers: (SettleAnswer | null)[] = items.map((item) => findRefusal(item))
      const fine = items.filter((_, at) => answers[at] === null) as Settlement[]
      const outcomes = await settle(request.principal, fine)
      let next = 0
      const all = answers.map((answer) => {
        if (answer) return answer
        const at = next++
        return toSettleAnswer(request, (fine[at] as Settlement).lease, outcomes[at] as SettleOutcome | Error)
      })
      return reply.code(207).send({ items: all } as never)
    },
  })

  /** What the schema says of one settlement; null when it fits. */
  function findRefusal(item: unknown): SettleAnswer | null {
    const fits = checkSettlement(item)
    const errors = fits ? findLargeNotes(item as Settlement) : toFieldProblems(checkSettlement.errors ?? [])
    return fits && errors.length === 0 ? null : toRefusal(nameOf(item), toBodyDetails(errors))
  }

  function toSettleAnswer(request: FastifyRequest, named: string, outcome: SettleOutcome | Error): SettleAnswer {
    if (!(outcome instanceof Error) && outcome.kind === 'settled') return { lease: named, status: 200, outcome: outcome.state }
    const details = toProblemDetails(outcome instanceof Error ? outcome : toSettleProblem(outcome))
    if (details.problem === 'internal-error') request.log.error({ err: outcome }, 'settling a lease failed')
    return toRefusal(named, details)
  }
}

/** The lease that an item names, as far as that can be one. */
const nameOf = (item: unknown): string | null => {
  const { lease } = (item ?? {}) as { lease?: unknown }
  return typeof lease === 'string' && lease.length <= leaseIdCharsMax ? lease : null
}

const toRefusal = (lease: string | null, details: ProblemDetails): SettleAnswer => {
  const error = toProblemDocument(details)
  return { lease, status: error.status, error }
}

export default leases
