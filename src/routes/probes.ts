// Tells an orchestrator whether this instance lives, and whether it can take requests.

import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { ProblemName } from '../errors.js'
import { problem } from '../plugins/problem-json.js'
import { shareFor } from '../plugins/share-for.js'

export interface ProbesOptions {
  readonly redis: { ping(): Promise<unknown> }
  isStopping(): boolean
  isOverloaded(): boolean
}

type CheckStatus = 'ok' | 'failed'

const pingTimeoutMs = 500
/** However many ask, Redis is asked once in this time. */
const cacheMs = 1000

const probes = async (app: FastifyInstance, options: ProbesOptions) => {
  const checkRedis = shareFor(cacheMs, () => ping(options.redis))
  const settings = { schema: { hide: true }, config: { quiet: true } }

  app.addHook('onSend', async (_request, reply, payload) => {
    reply.header('cache-control', 'no-store')
    return payload
  })

  app.get('/livez', settings, async () => ({ status: 'ok' }))

  app.get('/readyz', settings, async (_request: FastifyRequest, _reply: FastifyReply) => {
    const checks = { redis: { status: await checkRedis() } }
    const failure = findFailure(options, checks.redis.status)
    if (!failure) return { status: 'ok', checks }
    throw problem(failure.problem, failure.detail, { retryAfterSeconds: 1, extensions: { checks } })
  })
}

const findFailure = (options: ProbesOptions, redis: CheckStatus): { problem: ProblemName; detail: string } | null => {
  if (options.isStopping()) return { problem: 'shutting-down', detail: 'This instance is stopping.' }
  if (redis === 'failed') return { problem: 'redis-unavailable', detail: `Redis did not answer PING within ${pingTimeoutMs} ms.` }
  if (options.isOverloaded()) return { problem: 'overloaded', detail: 'This instance has more work than it can answer in time.' }
  return null
}

const ping = (redis: ProbesOptions['redis']): Promise<CheckStatus> =>
  new Promise((resolve) => {
    const timer = setTimeout(() => resolve('failed'), pingTimeoutMs)
    const settle = (status: CheckStatus) => () => {
      clearTimeout(timer)
      resolve(status)
    }
    redis.ping().then(settle('ok'), settle('failed'))
  })

export default probes
