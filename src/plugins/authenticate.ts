// First step of every protected request: the bearer key becomes `request.principal`, or the answer is 401.

import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import type { ApiKeys, Verification } from '../auth/api-keys.js'
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

  // Not async: a key that is known, as nearly all are, is let in within this turn of the event loop.
  app.addHook('onRequest', (request, reply, done) => {
    const key = toBearerKey(request.headers.authorization)
    if (key === null) return refuse(app, request, reply, 'absent')
    // A key that an operator made up may be short enough to guess: past the limit of the address it is not even compared.
    if (toKeyId(key) === null) app.requireFailureQuota(request, reply)
    const verification = apiKeys.verify(key)
    if (verification instanceof Promise) return verification.then((late) => admit(app, request, reply, late))
    if (verification.kind !== 'valid') return admit(app, request, reply, verification)
    request.principal = verification.principal
    app.limitRequest(request, reply)
    return done()
  })
}

/** Lets in who is known, and counts the request; otherwise throws what is answered. */
const admit = async (app: FastifyInstance, request: FastifyRequest, reply: FastifyReply, verification: Verification): Promise<void> => {
  switch (verification.kind) {
    case 'valid':
      request.principal = verification.principal
      app.limitRequest(request, reply)
      return
    case 'unavailable':
      throw problem('redis-unavailable', 'The API key cannot be checked at the moment. Nothing was stored; send the same request again.', {
        retryAfterSeconds: 1,
      })
    case 'expired':
    case 'refused':
      return refuse(app, request, reply, verification.kind)
  }
}

const refusals = {
  absent: ['Send `Authorization: Bearer <key>`.', realm],
  expired: ['The API key has expired.', `${realm}, error="invalid_token"`],
  refused: ['The API key is not known or was revoked.', `${realm}, error="invalid_token"`],
} as const

const refuse = async (app: FastifyInstance, request: FastifyRequest, reply: FastifyReply, why: keyof typeof refusals): Promise<never> => {
  await app.limitFailedAuthentication(request, reply)
  const [detail, challenge] = refusals[why]
  throw problem('unauthorized', detail, { headers: { 'www-authenticate': challenge } })
}

/** The key within `Authorization: Bearer …`; null for none, another scheme, or what cannot be a key. */
const toBearerKey = (header: string | undefined): string | null => bearer.exec(header ?? '')?.[1] ?? null

/**
 * A guard for routes: `onRequest: requireScope('admin')`. It runs after the hook of `authenticate`.
 * Throws `forbidden`, naming the scope.
 */
export const requireScope = (scope: Scope) => (request: FastifyRequest, _reply: FastifyReply, done: (error?: Error) => void) => {
  if (hasScope(request.principal, scope)) return done()
  throw problem('forbidden', `This needs an API key with the scope \`${scope}\`.`, {
    headers: { 'www-authenticate': `${realm}, error="insufficient_scope", scope="${scope}"` },
  })
}

export default fp(authenticate, { name: 'authenticate', dependencies: ['rate-limit', 'problem-json'] })
