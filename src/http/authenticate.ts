// First step of every protected request: the bearer key becomes `request.principal`, or the answer is 401.

import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import type { ApiKeys, Verification } from '../auth/api-keys.js'
import { toBearerToken } from '../auth/bearer-token.js'
import { hasScope, isLimited, type Principal, type Scope } from '../auth/grants.js'
import { toKeyId } from '../auth/key-format.js'
import { problem } from './problems/problem-json.js'

export interface AuthenticateOptions {
  readonly apiKeys: Pick<ApiKeys, 'verify'>
  /** Who calls without an Authorization header, such as by a session; null when nothing tells. */
  readonly recall?: (request: FastifyRequest) => Promise<Verification> | null
}

declare module 'fastify' {
  interface FastifyRequest {
    /** Who calls. Present in scopes that registered `authenticate`, and only there. */
    principal: Principal
  }
}

/** What a 401 asks for. */
export const bearerChallenge = 'Bearer realm="jobgate"'

/**
 * Protects the scope it is registered in: every route there asks for a key, and then counts for the rate limit of that key.
 * Register it with `await` before the routes, and not at the root, where probes and documents are public.
 * Needs `rate-limit` at the root.
 */
const authenticate = async (app: FastifyInstance, { apiKeys, recall }: AuthenticateOptions) => {
  app.decorateRequest('principal')

  // Not async: a key that is known, as nearly all are, is let in within this turn of the event loop.
  app.addHook('onRequest', (request, reply, done) => {
    const key = toBearerToken(request.headers.authorization)
    if (key === null) {
      const recalled = recall?.(request)
      return recalled ? recalled.then((late) => admit(app, request, reply, late)) : refuse(app, request, reply, 'absent')
    }
    // A key that an operator made up may be short enough to guess: past the limit of the address it is not even compared.
    if (toKeyId(key) === null) app.requireFailureQuota(request, reply)
    const verification = apiKeys.verify(key)
    const admitted =
      verification instanceof Promise
        ? verification.then((late) => admit(app, request, reply, late))
        : admit(app, request, reply, verification)
    return admitted ?? done()
  })
}

/** Lets in who is known, and counts the request; otherwise throws, or rejects with, what is answered. */
const admit = (
  app: FastifyInstance,
  request: FastifyRequest,
  reply: FastifyReply,
  verification: Verification,
): Promise<never> | undefined => {
  switch (verification.kind) {
    case 'valid':
      request.principal = verification.principal
      app.limitRequest(request, reply)
      return undefined
    case 'unavailable':
      throw problem('redis-unavailable', 'The API key cannot be verified at the moment. Nothing was stored; retry the same request.', {
        retryAfterSeconds: 1,
      })
    case 'expired':
    case 'refused':
      return refuse(app, request, reply, verification.kind)
  }
}

const refusals = {
  absent: ['Send `Authorization: Bearer <key>`.', bearerChallenge],
  expired: ['The API key has expired.', `${bearerChallenge}, error="invalid_token"`],
  refused: ['The API key is unknown or was revoked.', `${bearerChallenge}, error="invalid_token"`],
} as const

const refuse = async (app: FastifyInstance, request: FastifyRequest, reply: FastifyReply, why: keyof typeof refusals): Promise<never> => {
  await app.limitFailedAuthentication(request, reply)
  const [detail, challenge] = refusals[why]
  throw problem('unauthorized', detail, { headers: { 'www-authenticate': challenge } })
}

/**
 * A guard for routes: `onRequest: requireScope('admin')`. It runs after the hook of `authenticate`.
 * Throws `forbidden`, naming the scope.
 */
export const requireScope = (scope: Scope) => (request: FastifyRequest, _reply: FastifyReply, done: (error?: Error) => void) => {
  if (scope === 'admin' && isLimited(request.principal)) {
    throw problem('forbidden', 'This API key is restricted to some job types or queues, but operator routes cover all of them.')
  }
  if (hasScope(request.principal, scope)) return done()
  throw problem('forbidden', `This route requires an API key with the \`${scope}\` scope.`, {
    headers: { 'www-authenticate': `${bearerChallenge}, error="insufficient_scope", scope="${scope}"` },
  })
}

export default fp(authenticate, { name: 'authenticate', dependencies: ['rate-limit', 'problem-json'] })
