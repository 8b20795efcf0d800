// Vendors calling in: checked on the raw bytes, stored as a process-webhook job, then answered.

import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import type { FastifyInstance, FastifyReply, FastifyRequest, FastifySchema } from 'fastify'
import type { VerifiedWebhook } from '../builtin/external/process-webhook.js'
import { openInboundSources } from '../builtin/inbound.js'
import type { Services } from '../gateway.js'
import { toJobTrace, toSubmitProblem } from '../http/job-responses.js'
import { problem } from '../http/problems/problem-json.js'
import { problemResponse, problemResponses } from '../http/problems/problem-schema.js'
import { closed } from '../types/schema-parts.js'
import type { CallbackEvent, CallbackReading } from '../vendors/callback-checks.js'
import type { InboundAnswer, InboundRoute } from '../vendors/inbound.js'
import { createVendorTokens } from '../vendors/tokens.js'

declare module 'fastify' {
  interface FastifyRequest {
    /** Only under /v1/inbound: whether its signature has been found to be that of the vendor. */
    isAuthentic: boolean
  }
}

export interface InboundOptions {
  readonly services: Pick<Services, 'accept' | 'config' | 'keys' | 'redis'>
}

/** Owner of the jobs that events become: the tenant of the first key. */
const tenant = 'default'

const refusals = {
  400: problemResponse('The signature is valid, but the event format is unknown.'),
  403: problemResponse('The signature is invalid or too old.'),
  404: problemResponse('Events from this vendor are not configured.'),
  ...problemResponses,
}

/** What documents say of a route. */
const toSchema = <C>({
  operationId,
  summary,
  description,
  signatureHeaders,
  querystring,
  sealed,
  answer,
}: InboundRoute<C>): FastifySchema => ({
  operationId,
  summary,
  description,
  tags: ['inbound'],
  security: [],
  headers: Type.Object(
    Object.fromEntries(
      signatureHeaders.map((name) => [name, Type.Optional(Type.String({ maxLength: 512, description: 'Part of the signature.' }))]),
    ),
  ),
  ...(querystring ? { querystring } : {}),
  ...(sealed
    ? {
        body: Type.Object(
          { [sealed.member]: Type.String({ minLength: 1, description: sealed.description }) },
          { ...closed, description: 'An event or URL check, as sent by the vendor.' },
        ),
      }
    : {}),
  response: {
    200: {
      description: answer.description,
      content: { [answer.schema['type'] === 'string' ? 'text/plain' : 'application/json']: { schema: answer.schema } },
    },
    ...refusals,
  },
})

const inbound: FastifyPluginAsyncTypebox<InboundOptions> = async (app, { services }) => {
  const { accept, config, keys, redis } = services
  const tokens = createVendorTokens({ redis: redis.request, keys, encryptionKeys: config.encryptionKeys })
  readRawBodies(app)
  app.decorateRequest('isAuthentic', false)
  // Whoever forges is limited by address. A genuine event never is: it may come through the same proxy.
  app.setErrorHandler(async (error, request, reply) => {
    if (!request.isAuthentic) await app.limitFailedAuthentication(request, reply)
    throw error
  })
  // What a signature covers is checked by the signature, on the bytes as they came.
  const validatorCompiler = () => () => true

  /** Stores an event once: the vendor's id of it is the idempotency key. */
  const store = async (request: FastifyRequest, source: VerifiedWebhook['source'], event: CallbackEvent) => {
    const { credential, eventId, eventType, payload } = event
    if (credential && !(await tokens.store(credential.name, credential.token, credential.expiresAt))) {
      request.log.warn({ credential: credential.name }, 'a token was not kept: it has ended, or DATA_ENCRYPTION_KEY is not set')
    }
    const data: VerifiedWebhook = { source, eventId, eventType, payload: { ...payload }, verified: true }
    const key = { key: `${source}:${eventId}`, space: 'inbound' as const }
    const outcome = await accept({ type: 'process-webhook', data }, { tenant, key, ...toJobTrace(request) })
    // A vendor may send an event again with other details: the first one stands.
    if (outcome.kind !== 'accepted' && outcome.kind !== 'reused') throw toSubmitProblem(outcome)
    const jobId = outcome.kind === 'accepted' ? outcome.acceptance.jobId : null
    request.log.info({ source, eventType, jobId, repeated: outcome.kind === 'reused' || outcome.replayed }, 'inbound event accepted')
  }

  for (const { source, variable, callback, routes } of openInboundSources(config)) {
    for (const route of routes) {
      app.route({
        method: route.method,
        url: `/v1/inbound/${source}`,
        config: { uncounted: true },
        // What a query lacks is said before the signature is looked at.
        ...(route.sealed ? { validatorCompiler } : {}),
        schema: toSchema(route),
        async handler(request, reply) {
          if (!callback) throw notConfigured(variable)
          const query = request.query as Readonly<Record<string, string>>
          const read = route.read(callback, { headers: request.headers, query, rawBody: toRawBody(request) })
          request.isAuthentic = read.kind !== 'forged'
          if (read.kind === 'challenge') return send(reply, route.toChallengeAnswer(read.text))
          if (read.kind !== 'event') throw toRefusal(read.kind)
          await store(request, source, read)
          return send(reply, route.receipt)
        },
      })
    }
  }
}

const send = (reply: FastifyReply, answer: InboundAnswer) =>
  typeof answer === 'string' ? reply.type('text/plain; charset=utf-8').send(answer) : reply.send(answer)

/** Signatures cover bytes, not values: bodies arrive here as they came. */
const readRawBodies = (app: Pick<FastifyInstance, 'removeAllContentTypeParsers' | 'addContentTypeParser'>): void => {
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('application/json', { parseAs: 'buffer' }, (_request, body, done) => done(null, body))
}

const toRawBody = (request: { body?: unknown }): Buffer => (Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0))

const notConfigured = (variable: string) => problem('not-found', `Events from this vendor are not accepted because ${variable} is not set.`)

const toRefusal = (kind: CallbackReading['kind']) =>
  kind === 'forged'
    ? problem('signature-refused', 'The signature is invalid, or the request is too old.')
    : problem('malformed-body', 'The request is authentic, but its format is unknown.')

export default inbound
