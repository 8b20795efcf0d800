// First step of every protected request: the bearer key becomes `request.principal`, or the answer is 401.

import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import type { ApiKeys } from '../auth/api-keys.js'
import { toBearerToken } from '../auth/bearer-token.js'
import { hasScope, isLimited, type Principal, type Scope, type Verification } from '../auth/grants.js'
import { toKeyId } from '../auth/key-format.js'
import { hasSameRights, type KeyEnd } from '../auth/key-holds.js'
import { problem } from './problems/problem-json.js'

export interface AuthenticateOptions {
  readonly apiKeys: Pick<ApiKeys, 'verify' | 'hold'>
  /** Who calls without an Authorization header, such as by a session; null when nothing tells. */
  readonly recall?: (request: FastifyRequest) => Promise<Verification> | null
  /** The monotonic clock, in milliseconds. */
  readonly elapsed?: () => number
}

declare module 'fastify' {
  interface FastifyRequest {
    /** Who calls. Present in scopes that registered `authenticate`, and only there. */
    principal: Principal
    /** When the key was about to be verified, on the monotonic clock. */
    admittedAt: number
    /** For requests that last: watches over the key that this one brought. Release it when the answer is over. */
    holdKey(): HeldKey
  }
}

/** Ends with the key, within 5 s on every instance. */
export interface HeldKey {
  /** Fires when the key is revoked, has expired or has other rights; its reason is the problem to tell. */
  readonly signal: AbortSignal
  /** Why nothing more may be done with the key, at the moment or ever again; null while it holds. */
  problem(): Error | null
  release(): void
}

/** What a 401 asks for. */
export const bearerChallenge = 'Bearer realm="jobgate"'
const invalidToken = `${bearerChallenge}, error="invalid_token"`
/** A request that was let in longer ago than this before its body was complete is asked for its key again. */
const slowBodyMs = 1000

/**
 * Protects the scope it is registered in: every route there asks for a key, and then counts for the rate limit of that key.
 * Register it with `await` before the routes, and not at the root, where probes and documents are public.
 * Needs `rate-limit` at the root.
 */
const authenticate = async (app: FastifyInstance, { apiKeys, recall, elapsed = () => performance.now() }: AuthenticateOptions) => {
  app.decorateRequest('principal')
  app.decorateRequest('admittedAt', 0)
  app.decorateRequest('holdKey', function (this: FastifyRequest): HeldKey {
    const ended = new AbortController()
    const { authorization } = this.headers
    const hold = apiKeys.hold(toBearerToken(authorization) as string, this.principal, (end) => ended.abort(toEndProblem(end)))
    return {
      signal: ended.signal,
      problem: () => (hold.end ? toEndProblem(hold.end) : hold.isUnsure ? unverifiable() : null),
      release: hold.release,
    }
  })

  // Not async: a key that is known, as nearly all are, is let in within this turn of the event loop.
  app.addHook('onRequest', (request, reply, done) => {
    request.admittedAt = elapsed()
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

  // A body may take its time, and its key may be revoked meanwhile.
  app.addHook('preValidation', (request, reply, done) => {
    if (elapsed() - request.admittedAt < slowBodyMs) return done()
    const key = toBearerToken(request.headers.authorization)
    return key === null ? done() : requireUnchanged(app, request, reply, apiKeys.verify(key))
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
      throw unverifiable()
    case 'expired':
    case 'refused':
      return refuse(app, request, reply, verification.kind)
  }
}

const requireUnchanged = async (
  app: FastifyInstance,
  request: FastifyRequest,
  reply: FastifyReply,
  verifying: Verification | Promise<Verification>,
): Promise<void> => {
  const verification = await verifying
  switch (verification.kind) {
    case 'valid':
      if (hasSameRights(verification.principal, request.principal)) return undefined
      throw toEndProblem('changed')
    case 'unavailable':
      throw unverifiable()
    default:
      return refuse(app, request, reply, verification.kind)
  }
}

const unverifiable = (): Error =>
  problem('redis-unavailable', 'The API key cannot be verified at the moment. Nothing was stored; retry the same request.', {
    retryAfterSeconds: 1,
  })

const ends: Readonly<Record<KeyEnd, string>> = {
  expired: 'The API key expired while the request was open.',
  refused: 'The API key was revoked or rotated while the request was open.',
  changed: 'The scopes or grants of the API key changed while the request was open.',
}

const toEndProblem = (end: KeyEnd): Error => problem('unauthorized', ends[end], { headers: { 'www-authenticate': invalidToken } })

const refusals = {
  absent: ['Send `Authorization: Bearer <key>`.', bearerChallenge],
  expired: ['The API key has expired.', invalidToken],
  refused: ['The API key is unknown or was revoked.', invalidToken],
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
