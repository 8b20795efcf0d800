// Operators issue, list, rotate and revoke the keys that others call with.

import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import type { ApiKeyInfo } from '../../auth/api-key-records.js'
import { type ApiKey, ApiKeyRef, ApiKeySecretRef, KeyId, NewApiKey, newApiKeyProblems } from '../../auth/api-key-schemas.js'
import type { ApiKeys } from '../../auth/api-keys.js'
import { requireScope } from '../../http/authenticate.js'
import { toSubmitProblem } from '../../http/job-responses.js'
import { problem } from '../../http/problems/problem-json.js'
import { problemResponses } from '../../http/problems/problem-schema.js'
import { noteApiKey } from '../../operations/audit.js'
import { day } from '../../runtime/durations.js'
import { closed, DurationMs, Nullable } from '../../types/schema-parts.js'

export interface AdminApiKeysOptions {
  readonly apiKeys: ApiKeys
  /** Milliseconds since 1970. */
  readonly now?: () => number
}

const tags = ['operators']
const noStore = { 'Cache-Control': { type: 'string', description: '`no-store`, because the response contains a secret.' } }
const Params = Type.Object({ id: KeyId }, closed)

const adminApiKeys: FastifyPluginAsyncTypebox<AdminApiKeysOptions> = async (app, { apiKeys, now = Date.now }) => {
  const onRequest = requireScope('admin')

  app.route({
    method: 'GET',
    url: '/admin/api-keys',
    onRequest,
    schema: {
      operationId: 'listApiKeys',
      summary: 'List API keys',
      description: 'All issued keys that are not revoked, oldest first, without secrets. The first key of an installation is not included.',
      tags,
      querystring: Type.Object(
        {
          limit: Type.Integer({ minimum: 1, maximum: 200, default: 50, description: 'Number of keys per page.' }),
          cursor: Type.Optional(
            Type.String({ pattern: '^[0-9A-Za-z]{1,32}$', maxLength: 32, description: '`next` from the previous page.' }),
          ),
        },
        closed,
      ),
      response: {
        200: Type.Object(
          {
            items: Type.Array(ApiKeyRef),
            next: Nullable(Type.String(), { description: 'Cursor of the next page; null on the last one.' }),
          },
          { ...closed, description: 'A page of keys.' },
        ),
        ...problemResponses,
      },
    },
    handler: async ({ query }) => {
      const { items, next } = await apiKeys.list({ after: query.cursor, limit: query.limit })
      return { items: items.map(toView), next }
    },
  })

  app.route({
    method: 'POST',
    url: '/admin/api-keys',
    onRequest,
    schema: {
      operationId: 'issueApiKey',
      summary: 'Issue an API key',
      description: 'Creates a key and returns its secret. This is the only time the secret is shown; only a digest is stored.',
      tags,
      body: NewApiKey,
      response: { 201: { ...ApiKeySecretRef, headers: noStore }, ...problemResponses },
    },
    handler: async (request, reply) => {
      const { body } = request
      const errors = newApiKeyProblems(body, now())
      if (errors.length > 0) throw toSubmitProblem({ kind: 'invalid', errors })
      const expiresAt = body.expiresAt ? Date.parse(body.expiresAt) : null
      const { name, tenant, scopes, types, queues } = body
      const note = noteApiKey(request.principal.keyId, 'api-key.issued', { name, tenant, scopes, types, queues })
      const { key, info } = await apiKeys.issue({ ...body, expiresAt }, note)
      request.log.info({ keyId: info.id, by: request.principal.keyId }, 'API key issued')
      return reply
        .code(201)
        .header('cache-control', 'no-store')
        .send({ key, apiKey: toView(info) })
    },
  })

  app.route({
    method: 'DELETE',
    url: '/admin/api-keys/:id',
    onRequest,
    schema: {
      operationId: 'revokeApiKey',
      summary: 'Revoke an API key',
      description: 'Revokes the key permanently: at once on every reachable instance, and within 5 s on all others.',
      tags,
      params: Params,
      response: { 204: Type.Null({ description: 'The key is revoked.' }), ...problemResponses },
    },
    handler: async (request, reply) => {
      if (!(await apiKeys.revoke(request.params.id, noteApiKey(request.principal.keyId, 'api-key.revoked')))) throw notFound()
      request.log.info({ keyId: request.params.id, by: request.principal.keyId }, 'API key revoked')
      return reply.code(204).send(null)
    },
  })

  app.route({
    method: 'POST',
    url: '/admin/api-keys/:id/rotate',
    onRequest,
    schema: {
      operationId: 'rotateApiKey',
      summary: 'Rotate an API key',
      description:
        'Returns a new secret, which is valid at once and shown only this time. The previous secret stays valid for `overlapMs`; an older one that was still valid is revoked.',
      tags,
      params: Params,
      body: Type.Object({ overlapMs: DurationMs(0, 30 * day, 'How long the previous secret stays valid; 0 revokes it now.') }, closed),
      response: { 200: { ...ApiKeySecretRef, headers: noStore }, ...problemResponses },
    },
    handler: async (request, reply) => {
      const note = noteApiKey(request.principal.keyId, 'api-key.rotated', request.body)
      const rotated = await apiKeys.rotate(request.params.id, request.body, note)
      if (rotated === null) throw notFound()
      request.log.info({ keyId: rotated.info.id, by: request.principal.keyId }, 'API key rotated')
      return reply.header('cache-control', 'no-store').send({ key: rotated.key, apiKey: toView(rotated.info) })
    },
  })
}

/** Also for the first key: it is the operator's setting, and no request can change it. */
const notFound = () => problem('not-found', 'There is no issued key with this ID.')

const toView = (info: ApiKeyInfo): ApiKey => ({
  ...info,
  createdAt: toTime(info.createdAt),
  expiresAt: toTimeOrNull(info.expiresAt),
  rotatedAt: toTimeOrNull(info.rotatedAt),
  previousValidUntil: toTimeOrNull(info.previousValidUntil),
  lastUsedAt: toTimeOrNull(info.lastUsedAt),
})

const toTime = (at: number): string => new Date(at).toISOString()
const toTimeOrNull = (at: number | null): string | null => (at === null ? null : toTime(at))

export default adminApiKeys
