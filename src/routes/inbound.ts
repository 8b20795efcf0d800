// Vendors calling in: checked on the raw bytes, stored as a process-webhook job, then answered.

import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { VerifiedWebhook } from '../builtin/external/process-webhook.js'
import { stsTokenName } from '../builtin/open-vendors.js'
import type { Services } from '../gateway.js'
import { toJobTrace, toSubmitProblem } from '../http/job-responses.js'
import { problem } from '../http/problem-json.js'
import { problemResponse, problemResponses } from '../http/problem-schema.js'
import { jsonResponse } from '../http/response-schemas.js'
import { closed } from '../types/schema-parts.js'
import type { CallbackEvent, CallbackReading } from '../vendors/callback-checks.js'
import { createLarkCallback } from '../vendors/lark/callback.js'
import { createTencentMeetingCallback } from '../vendors/tencent-meeting/callback.js'
import { createVendorTokens } from '../vendors/tokens.js'

export interface InboundOptions {
  readonly services: Pick<Services, 'config' | 'keys' | 'redis' | 'submit'>
}

/** Owner of the jobs that events become: the tenant of the first key. */
const tenant = 'default'
/** The vendor sends an event again unless it gets exactly this text. */
const tencentReceipt = 'successfully received callback'

const sealed = (member: string, description: string) =>
  Type.Object(
    { [member]: Type.String({ minLength: 1, description }) },
    { ...closed, description: 'One event or check, as the vendor sends it.' },
  )
const textResponse = (description: string) => ({
  description,
  content: { 'text/plain': { schema: Type.String() } },
})
const signatureHeaders = (names: readonly string[]) =>
  Type.Object(
    Object.fromEntries(names.map((name) => [name, Type.Optional(Type.String({ maxLength: 512, description: 'Part of the signature.' }))])),
  )

const refusals = {
  400: problemResponse('The signature holds, but the event is of no known form.'),
  403: problemResponse('The signature does not hold, or is too old.'),
  404: problemResponse('Events of this vendor are not configured.'),
  ...problemResponses,
}
const open = { tags: ['inbound'], security: [] }

const inbound: FastifyPluginAsyncTypebox<InboundOptions> = async (app, { services }) => {
  const { config, keys, redis, submit } = services
  const lark = config.larkCallback && createLarkCallback(config.larkCallback)
  const tencent = config.tencentMeetingCallback && createTencentMeetingCallback(config.tencentMeetingCallback)
  const tokens = createVendorTokens({ redis: redis.request, keys, encryptionKeys: config.encryptionKeys })
  readRawBodies(app)
  // What a signature covers is checked by the signature, on the bytes as they came.
  const validatorCompiler = () => () => true

  /** Stores an event once: the vendor's id of it is the idempotency key. */
  const store = async (request: FastifyRequest, source: VerifiedWebhook['source'], { eventId, eventType, payload }: CallbackEvent) => {
    const data: VerifiedWebhook = { source, eventId, eventType, payload: { ...payload }, verified: true }
    const key = { key: `${source}:${eventId}`, space: 'inbound' as const }
    const outcome = await submit({ type: 'process-webhook', data }, { tenant, key, ...toJobTrace(request) })
    // A vendor may send an event again with other details: the first one stands.
    if (outcome.kind !== 'accepted' && outcome.kind !== 'reused') throw toSubmitProblem(outcome)
    const jobId = outcome.kind === 'accepted' ? outcome.view.id : null
    request.log.info({ source, eventType, jobId, repeated: outcome.kind === 'reused' || outcome.replayed }, 'event taken in')
  }

  /** Whoever forges is limited by address. A genuine event never is: it may come through the same proxy. */
  const refuse = async (request: FastifyRequest, reply: FastifyReply, kind: CallbackReading['kind']): Promise<Error> => {
    if (kind === 'forged') await app.limitFailedAuthentication(request, reply)
    return toRefusal(kind)
  }

  app.get(
    '/v1/inbound/tencent-meeting',
    {
      schema: {
        operationId: 'checkTencentMeetingCallback',
        summary: 'Answer the address check of Tencent Meeting',
        description: 'Tencent Meeting calls this when the address is entered there; the answer is the decrypted text of check_str.',
        ...open,
        headers: signatureHeaders(['timestamp', 'nonce', 'signature']),
        querystring: Type.Object({ check_str: Type.String({ minLength: 1, maxLength: 4096, description: 'Encrypted text to decrypt.' }) }),
        response: { 200: textResponse('The decrypted text.'), ...refusals },
      },
    },
    async (request, reply) => {
      if (!tencent) throw notConfigured('TENCENT_MEETING_WEBHOOK_TOKEN')
      // Base64 has no blanks: a vendor that leaves + unencoded in the query means +.
      const checkStr = request.query.check_str.replaceAll(' ', '+')
      const read = tencent.check({ headers: request.headers, checkStr })
      if (read.kind !== 'challenge') throw await refuse(request, reply, read.kind)
      return reply.type('text/plain; charset=utf-8').send(read.text)
    },
  )

  app.post(
    '/v1/inbound/tencent-meeting',
    {
      validatorCompiler,
      schema: {
        operationId: 'receiveTencentMeetingEvent',
        summary: 'Take in an event of Tencent Meeting',
        description: 'Stores a genuine event as a process-webhook job, once per event, and confirms it afterwards.',
        ...open,
        headers: signatureHeaders(['timestamp', 'nonce', 'signature']),
        body: sealed('data', 'The event, encrypted and in base64.'),
        response: { 200: textResponse(`Always \`${tencentReceipt}\`: the event is stored.`), ...refusals },
      },
    },
    async (request, reply) => {
      if (!tencent) throw notConfigured('TENCENT_MEETING_WEBHOOK_TOKEN')
      const read = tencent.read({ headers: request.headers, rawBody: toRawBody(request) })
      if (read.kind !== 'event') throw await refuse(request, reply, read.kind)
      if (read.stsToken) {
        const isStored = await tokens.store(stsTokenName, read.stsToken.token, read.stsToken.expiresAt)
        if (!isStored) request.log.warn('an STS token was not kept: it has ended, or DATA_ENCRYPTION_KEY is not set')
      }
      await store(request, 'tencent-meeting', read)
      return reply.type('text/plain; charset=utf-8').send(tencentReceipt)
    },
  )

  app.post(
    '/v1/inbound/lark',
    {
      validatorCompiler,
      schema: {
        operationId: 'receiveLarkEvent',
        summary: 'Take in an event of Lark',
        description:
          'Stores a genuine event as a process-webhook job, once per event, and confirms it afterwards. Answers the address check too.',
        ...open,
        headers: signatureHeaders(['X-Lark-Signature', 'X-Lark-Request-Timestamp', 'X-Lark-Request-Nonce']),
        body: sealed('encrypt', 'The event, encrypted and in base64.'),
        response: {
          200: jsonResponse(
            Type.Object({ challenge: Type.Optional(Type.String({ description: 'Only for the address check.' })) }, closed),
            'Taken in.',
          ),
          ...refusals,
        },
      },
    },
    async (request, reply) => {
      if (!lark) throw notConfigured('LARK_ENCRYPT_KEY')
      const read = lark.read({ headers: request.headers, rawBody: toRawBody(request) })
      if (read.kind === 'challenge') return { challenge: read.text }
      if (read.kind !== 'event') throw await refuse(request, reply, read.kind)
      await store(request, 'lark', read)
      return {}
    },
  )
}

/** Signatures cover bytes, not values: bodies arrive here as they came. */
const readRawBodies = (app: Pick<FastifyInstance, 'removeAllContentTypeParsers' | 'addContentTypeParser'>): void => {
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('application/json', { parseAs: 'buffer' }, (_request, body, done) => done(null, body))
}

const toRawBody = (request: { body?: unknown }): Buffer => (Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0))

const notConfigured = (variable: string) => problem('not-found', `Events of this vendor are not taken in: ${variable} is not set.`)

const toRefusal = (kind: CallbackReading['kind']) =>
  kind === 'forged'
    ? problem('signature-refused', 'The signature does not hold, or the request is too old.')
    : problem('malformed-body', 'The request is genuine, but of no known form.')

export default inbound
