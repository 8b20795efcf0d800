// Second step of every request: how much a caller may ask for. The names of the rate limit headers stand in this file only.

import rateLimitPlugin, { normalizeIP } from '@fastify/rate-limit'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import type { Principal } from '../auth/grants.js'
import type { RedisClient } from '../redis/connect.js'
import type { Keys } from '../redis/keys.js'
import { problem } from './problem-json.js'
import { createRateCounter, type RateCounter } from './rate-counter.js'

export interface RateLimitOptions {
  /** A connection of the limiter role; a request never waits for it. */
  readonly redis: RedisClient
  readonly keys: Keys
  /** Requests per window and key, unless the key has its own limit; failed authentications per window and address. */
  readonly max: number
  readonly windowMs: number
  /** Milliseconds since 1970. */
  readonly now?: () => number
}

type Limit = (request: FastifyRequest, reply: FastifyReply) => Promise<void>

declare module 'fastify' {
  interface FastifyInstance {
    /** Counts a request for its key, or for its address when it has none; throws `quota-exceeded`. `authenticate` calls it. */
    limitRequest: Limit
    /** Counts a failed authentication for its address; throws `quota-exceeded`. Call it before answering 401, also for a vendor's signature. */
    limitFailedAuthentication: Limit
    /** Throws `quota-exceeded` when the address has used up its failed authentications; counts nothing. */
    requireFailureQuota: Limit
  }
  interface FastifyRequest {
    /** RateLimit headers of this answer; null when it is not limited. For raw replies, which drop what hooks set. */
    rateLimitHeaders: Readonly<Record<string, string>> | null
  }
}

/** From this length on, callers that were refused together do not come back together. */
const longWindowMs = 60_000
const jitterSecondsMax = 60

// A client that has already gone has no address any more, whatever the type says.
const byAddress = (request: FastifyRequest) => `address:${normalizeIP((request.ip as string | undefined) ?? 'gone')}`

const byKey = (request: FastifyRequest) => {
  // Outside protected scopes nobody is known.
  const principal = request.principal as Principal | undefined
  return principal ? `key:${principal.keyId}` : byAddress(request)
}

const rateLimit = async (app: FastifyInstance, { redis, keys, max, windowMs, now }: RateLimitOptions) => {
  const windowSeconds = Math.ceil(windowMs / 1000)
  const counter = createRateCounter({ redis, keys, windowMs, ...(now ? { now } : {}) })

  // Draft headers of the plugin's own would be of 2021: it only counts and decides.
  await app.register(rateLimitPlugin, {
    global: false,
    store: toStore(counter),
    timeWindow: windowMs,
    keyGenerator: byKey,
    max: (request) => (request.principal as Principal | undefined)?.rateLimitMax ?? max,
  })
  app.decorateRequest('rateLimitHeaders', null)

  const check = app.createRateLimit()
  const checkAddress = app.createRateLimit({ keyGenerator: byAddress, max })

  const toSeconds = (leftMs: number): number => {
    const seconds = Math.max(1, Math.ceil(leftMs / 1000))
    if (windowMs < longWindowMs) return seconds
    return seconds + Math.floor(Math.random() * Math.min(windowSeconds / 20, jitterSecondsMax))
  }

  const apply = (limit: Awaited<ReturnType<typeof check>>, request: FastifyRequest, reply: FastifyReply, subject: string) => {
    if (limit.isAllowed) return
    const seconds = toSeconds(limit.ttl)
    const headers = {
      'ratelimit-policy': `"default";q=${limit.max};w=${windowSeconds}`,
      ratelimit: `"default";r=${limit.remaining};t=${seconds}`,
    }
    request.rateLimitHeaders = headers
    reply.headers(headers)
    if (!limit.isExceeded) return
    throw problem('quota-exceeded', `${subject}: ${limit.max} in ${windowMs} ms are allowed. Wait ${seconds} s.`, {
      retryAfterSeconds: seconds,
      extensions: { 'violated-policies': ['default'] },
    })
  }

  const limitRequest: Limit = async (request, reply) => {
    apply(await check(request), request, reply, 'Too many requests')
  }

  app.decorate('limitRequest', limitRequest)
  app.decorate('limitFailedAuthentication', async (request, reply) => {
    apply(await checkAddress(request), request, reply, 'Too many requests without a valid key from this address')
  })
  app.decorate('requireFailureQuota', async (request, reply) => {
    const limit = await checkAddress(request, { increment: false })
    if (limit.isAllowed || limit.remaining > 0) return
    apply({ ...limit, isExceeded: true }, request, reply, 'Too many requests without a valid key from this address')
  })

  // Probing for routes is not free of charge either.
  app.addHook('onRequest', async (request, reply) => {
    if (request.is404) await limitRequest(request, reply)
  })
}

/** The counter in the form that the plugin asks for. */
const toStore = (counter: RateCounter) =>
  class CounterStore {
    incr(key: string, done: (error: Error | null, result: { current: number; ttl: number }) => void, _windowMs: number, max: number) {
      const { total, leftMs } = counter.add(key, max)
      done(null, { current: total, ttl: leftMs })
    }

    read(key: string, done: (error: Error | null, result: { current: number; ttl: number }) => void) {
      const { total, leftMs } = counter.read(key)
      done(null, { current: total, ttl: leftMs })
    }

    child() {
      return this
    }
  }

export default fp(rateLimit, { name: 'rate-limit' })
