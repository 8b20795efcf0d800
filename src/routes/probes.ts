// Tells an orchestrator whether this instance lives, and whether it can take requests.

import type { FastifyInstance } from 'fastify'
import { problem } from '../http/problems/problem-json.js'
import type { Readiness } from '../http/readiness.js'

export interface ProbesOptions {
  readonly readiness: Readiness
}

const probes = async (app: FastifyInstance, { readiness }: ProbesOptions) => {
  const settings = { schema: { hide: true }, config: { quiet: true, uncounted: true } }

  app.addHook('onSend', async (_request, reply, payload) => {
    reply.header('cache-control', 'no-store')
    return payload
  })

  app.get('/livez', settings, async () => ({ status: 'ok' }))

  app.get('/readyz', settings, async () => {
    const { checks, failure } = await readiness()
    if (!failure) return { status: 'ok', checks }
    throw problem(failure.problem, failure.detail, { retryAfterSeconds: 1, extensions: { checks } })
  })
}

export default probes
