// One lease at a time: heartbeat, complete, fail and release, for people with curl.

import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { type TSchema, Type } from '@sinclair/typebox'
import type { FastifyRequest } from 'fastify'
import type { Services } from '../gateway.js'
import { requireScope } from '../http/authenticate.js'
import { leaseLost, leaseNotFound, requireSmallNotes, toSettleProblem } from '../http/lease-responses.js'
import { problemResponse, problemResponses } from '../http/problems/problem-schema.js'
import { createRequireLeasedTypes } from '../http/require-types.js'
import { jsonResponse } from '../http/response-schemas.js'
import {
  type Beat,
  BeatResult,
  beatMembers,
  completeMembers,
  failMembers,
  releaseMembers,
  SettledLease,
  type Settlement,
} from '../leases/schema.js'
import { closed, paramCharsMax } from '../types/schema-parts.js'

export interface SingleLeaseOptions {
  readonly services: Pick<Services, 'catalog' | 'jobTypes' | 'leases'>
}

const LeaseParams = Type.Object({ lease: Type.String({ maxLength: paramCharsMax, description: 'ID of the lease.' }) })

const conflict = problemResponse('The lease is over, or was settled with another outcome.')
const settledResponses = {
  200: jsonResponse(SettledLease, 'The lease is settled, now or by the same request before.'),
  409: conflict,
  ...problemResponses,
}
const body = (members: Record<string, TSchema>, description: string) => Type.Object(members, { ...closed, description })

const singleLease: FastifyPluginAsyncTypebox<SingleLeaseOptions> = async (app, { services }) => {
  const { heartbeat, settle } = services.leases
  app.addHook('onRequest', requireScope('work'))
  app.addHook('preHandler', createRequireLeasedTypes(services.catalog, services.jobTypes))

  app.route({
    method: 'POST',
    url: '/v1/leases/:lease/heartbeat',
    schema: {
      operationId: 'heartbeatLease',
      summary: 'Send a heartbeat for one lease',
      description: 'Extends the lease from now, and stores what comes with it. `status` is `cancelled` if the job was cancelled.',
      tags: ['workers'],
      params: LeaseParams,
      body: body(beatMembers, 'May be an empty object.'),
      response: {
        200: jsonResponse(Type.Ref(BeatResult.$id as string), 'The lease is held.'),
        409: problemResponse('The lease is over.'),
        ...problemResponses,
      },
    },
    handler: async (request) => {
      const { lease } = request.params
      const beat = { ...(request.body as Omit<Beat, 'lease'>), lease }
      requireSmallNotes([beat], () => '#')
      const outcome = await heartbeat.ofLease(request.principal, beat, request.headers['user-agent'])
      if (outcome.status === 'unknown') throw leaseNotFound()
      if (outcome.status === 'lost') throw leaseLost()
      return outcome
    },
  })

  app.route({
    method: 'POST',
    url: '/v1/leases/:lease/complete',
    schema: {
      operationId: 'completeLease',
      summary: 'Complete a leased job',
      description: 'The attempt succeeded. The result must match the result schema of the job type.',
      tags: ['workers'],
      params: LeaseParams,
      body: body(completeMembers, 'The result.'),
      response: { ...settledResponses, 422: problemResponse('The result does not match its schema; the lease goes on.') },
    },
    handler: (request) =>
      settleOne(request, { ...(request.body as object), lease: request.params.lease, outcome: 'completed' } as Settlement),
  })

  app.route({
    method: 'POST',
    url: '/v1/leases/:lease/fail',
    schema: {
      operationId: 'failLease',
      summary: 'Fail a leased job',
      description: 'The attempt failed. The job is retried if the error is retryable and attempts are left.',
      tags: ['workers'],
      params: LeaseParams,
      body: body(failMembers, 'What went wrong.'),
      response: settledResponses,
    },
    handler: (request) => settleOne(request, { ...(request.body as object), lease: request.params.lease, outcome: 'failed' } as Settlement),
  })

  app.route({
    method: 'POST',
    url: '/v1/leases/:lease/release',
    schema: {
      operationId: 'releaseLease',
      summary: 'Release a leased job',
      description: 'Returns the job to the queue, for another worker to take at once. No attempt is counted.',
      tags: ['workers'],
      params: LeaseParams,
      body: body(releaseMembers, 'May be an empty object.'),
      response: settledResponses,
    },
    handler: (request) =>
      settleOne(request, { ...(request.body as object), lease: request.params.lease, outcome: 'released' } as Settlement),
  })

  async function settleOne(request: FastifyRequest, said: Settlement) {
    requireSmallNotes([said], () => '#')
    const [outcome] = await settle(request.principal, [said])
    if (outcome instanceof Error) throw outcome
    if (outcome?.kind !== 'settled') throw toSettleProblem(outcome ?? { kind: 'unknown' })
    return { lease: said.lease, outcome: outcome.state }
  }
}

export default singleLease
