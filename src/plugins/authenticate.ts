// First step of every protected request: the bearer key becomes `request.principal`, or the answer is 401.

import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import type { ApiKeys } from '../auth/api-keys.js'
import { hasScope, type Principal, type Scope } from '../auth/grants.js'
import { toKeyId } from '../auth/key-format.js'
import { problem } from './problem-json.js'

export interface AuthenticateOptions {
  readonly apiKeys: Pick<ApiKeys, 'verify'>
}

declare module 'fastify' {
  interface FastifyRequest {
    /** Who calls. Present in scopes that registered `authenticate`, and only there. */
    principal: Principal
  }
}

const realm = 'Bearer realm="jobgate"'
/** Bounded, and without the blanks that would make it two words. */
const bearer = /^Bearer +([\x21-\x7e]{1,512}) *$/i

/**
 * Protects the scope it is registered in: every route there asks for a key, and then counts for the rate limit of that key.
 * Register it with `await` before the routes, and not at the root, where probes and documents are public.
 * Needs `rate-limit` at the root.
 */
const authenticate = async (app: FastifyInstance, { apiKeys }: AuthenticateOptions) => {
  app.decorateRequest('principal')

  app.addHook('onRequest', async (request, reply) => {
    request.principal = await identify(app, apiKeys, request, reply)
    await app.limitRequest(request, reply)
  })
}

const identify = async (app: FastifyInstance, apiKeys: AuthenticateOptions['apiKeys'], request: FastifyRequest, reply: FastifyReply) => {
  const key = toBearerKey(request.headers.authorization)
  if (key === null) {
    await app.limitFailedAuthentication(request, reply)
    throw unauthorized('Send `Authorization: Bearer <key>`.', realm)
  }
  // A key that an operator made up may be short enough to guess: past the limit of the address it is not even compared.
  if (toKeyId(key) === null) await app.requireFailureQuota(request, reply)

  const verification = await apiKeys.verify(key)
  switch (verification.kind) {
    case 'valid':
      return verification.principal
    case 'unavailable':
      throw problem('redis-unavailable', 'The API key cannot be checked at the moment. Nothing was stored; send the same request again.', {
        retryAfterSeconds: 1,
      })
    case 'expired':
    case 'refused':
      await app.limitFailedAuthentication(request, reply)
      throw unauthorized(
        verification.kind === 'expired' ? 'The API key has expired.' : 'The API key is not known or was revoked.',
        `${realm}, error="invalid_token"`,
      )
  }
}

/** The key within `Authorization: Bearer …`; null for none, another scheme, or what cannot be a key. */
const toBearerKey = (header: string | undefined): string | null => bearer.exec(header ?? '')?.[1] ?? null

const unauthorized = (detail: string, challenge: string) => problem('unauthorized', detail, { headers: { 'www-authenticate': challenge } })

/**
 * A guard for routes: `onRequest: requireScope('admin')`. It runs after the hook of `authenticate`.
 * Throws `forbidden`, naming the scope.
 */
export const requireScope = (scope: Scope) => async (request: FastifyRequest) => {
  if (hasScope(request.principal, scope)) return
  throw problem('forbidden', `This needs an API key with the scope \`${scope}\`.`, {
    headers: { 'www-authenticate': `${realm}, error="insufficient_scope", scope="${scope}"` },
  })
}

export default fp(authenticate, { name: 'authenticate', dependencies: ['rate-limit', 'problem-json'] })
