// Second step of every request: how much a caller may ask for. The names of the rate limit headers stand in this file only.

import rateLimitPlugin, { normalizeIP } from '@fastify/rate-limit'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import type { Principal } from '../../auth/grants.js'
import type { RedisClient } from '../../redis/connect.js'
import type { Keys } from '../../redis/redis-keys.js'
import { problem } from '../problems/problem-json.js'
import { createRateCounter, type RateCounter } from './rate-counter.js'

export interface RateLimitOptions {
  /** A connection of the limiter role; a request never waits for it. */
  readonly redis: RedisClient
  readonly keys: Keys
  /** Requests per window and key, unless the key has its own limit; requests without a key per window and address. */
  readonly max: number
  readonly windowMs: number
  /** Milliseconds since 1970. */
  readonly now?: () => number
}

type Limit = (request: FastifyRequest, reply: FastifyReply) => void

/** Where a subject stands in its window. */
interface Standing {
  readonly max: number
  readonly remaining: number
  readonly leftMs: number
  readonly isExceeded: boolean
}

declare module 'fastify' {
  interface FastifyInstance {
    /** Counts a request for its key, or for its address when it has none; throws `quota-exceeded`. `authenticate` and public routes call it. */
    limitRequest: Limit
    /** Counts a failed authentication for its address; throws `quota-exceeded`. Call it before answering 401, also for a vendor's signature. */
    limitFailedAuthentication: (request: FastifyRequest, reply: FastifyReply) => Promise<void>
    /** Throws `quota-exceeded` when the address has used up its failed authentications; counts nothing. */
    requireFailureQuota: Limit
  }
  interface FastifyRequest {
    /** RateLimit headers of this answer; null when it is not limited. For raw replies, which drop what hooks set. */
    rateLimitHeaders: Readonly<Record<string, string>> | null
  }
  interface FastifyContextConfig {
    /** Requests to this public route do not count for their address: it has to answer always, or counts by itself what it refuses. */
    uncounted?: boolean
  }
}

/** From this length on, callers that were refused together do not come back together. */
const longWindowMs = 60_000
const jitterSecondsMax = 60

// A client that has already gone has no address any more, whatever the type says.
const byAddress = (request: FastifyRequest) => `address:${normalizeIP((request.ip as string | undefined) ?? 'gone')}`

const rateLimit = async (app: FastifyInstance, { redis, keys, max, windowMs, now }: RateLimitOptions) => {
  const windowSeconds = Math.ceil(windowMs / 1000)
  const counter = createRateCounter({ redis, keys, windowMs, ...(now ? { now } : {}) })

  // The plugin limits addresses. Draft headers of its own would be of 2021: it only counts and decides.
  await app.register(rateLimitPlugin, { global: false, store: toStore(counter), timeWindow: windowMs, keyGenerator: byAddress, max })
  const checkAddress = app.createRateLimit()
  app.decorateRequest('rateLimitHeaders', null)

  const toSeconds = (leftMs: number): number => {
    const seconds = Math.max(1, Math.ceil(leftMs / 1000))
    if (windowMs < longWindowMs) return seconds
    return seconds + Math.floor(Math.random() * Math.min(windowSeconds / 20, jitterSecondsMax))
  }

  const policyOf = (max: number) => `"default";q=${max};w=${windowSeconds}`
  const generalPolicy = policyOf(max)

  const apply = (standing: Standing, request: FastifyRequest, reply: FastifyReply, subject: string) => {
    const { remaining, leftMs, isExceeded } = standing
    const seconds = toSeconds(leftMs)
    const headers = {
      'ratelimit-policy': standing.max === max ? generalPolicy : policyOf(standing.max),
      ratelimit: `"default";r=${remaining};t=${seconds}`,
    }
    request.rateLimitHeaders = headers
    reply.header('ratelimit-policy', headers['ratelimit-policy']).header('ratelimit', headers.ratelimit)
    if (!isExceeded) return
    throw problem('quota-exceeded', `${subject}: the limit is ${standing.max} in ${windowMs} ms. Wait ${seconds} s.`, {
      retryAfterSeconds: seconds,
      extensions: { 'violated-policies': ['default'] },
    })
  }

  /** Every request comes through here: it asks the counter itself, without the promises of the plugin's way. */
  const limitRequest = (request: FastifyRequest, reply: FastifyReply): void => {
    // Outside protected scopes nobody is known.
    const principal = request.principal as Principal | undefined
    const most = principal?.rateLimitMax ?? max
    const { total, leftMs } = counter.add(principal ? `key:${principal.keyId}` : byAddress(request), most)
    apply({ max: most, remaining: Math.max(0, most - total), leftMs, isExceeded: total > most }, request, reply, 'Too many requests')
  }

  const addressSubject = 'Too many requests without a valid key from this address'

  const limitFailedAuthentication = async (request: FastifyRequest, reply: FastifyReply): Promise<void> => {
    const limit = await checkAddress(request)
    if (!limit.isAllowed) apply({ ...limit, leftMs: limit.ttl }, request, reply, addressSubject)
  }

  const requireFailureQuota = (request: FastifyRequest, reply: FastifyReply): void => {
    const { total, leftMs } = counter.read(byAddress(request))
    if (total >= max) apply({ max, remaining: 0, leftMs, isExceeded: true }, request, reply, addressSubject)
  }

  app.decorate('limitRequest', limitRequest)
  app.decorate('limitFailedAuthentication', limitFailedAuthentication)
  app.decorate('requireFailureQuota', requireFailureQuota)

  const count = (request: FastifyRequest, reply: FastifyReply, done: () => void): void => {
    limitRequest(request, reply)
    done()
  }
  // Every route is limited: by address, unless a key is asked for. Then `authenticate` counts.
  app.addHook('onRoute', function (route) {
    if (route.config?.uncounted || this.hasRequestDecorator('principal')) return
    route.onRequest = [count, ...[route.onRequest ?? []].flat()]
  })
  // Probing for routes is not free of charge either.
  app.addHook('onRequest', (request, reply, done) => {
    if (request.is404) limitRequest(request, reply)
    done()
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
