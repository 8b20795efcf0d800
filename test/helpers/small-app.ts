// A small Fastify app with what every route shares, for tests of single plugins.

import accepts from '@fastify/accepts'
import Fastify, { type FastifyInstance, type FastifyServerOptions } from 'fastify'
import { pino } from 'pino'
import type { Test } from 'tap'
import jsonBody from '../../src/http/bodies/json-body.js'
import problemJson from '../../src/http/problems/problem-json.js'
import { type ServerSettings, toServerOptions } from '../../src/http/server-options.js'
import { toLoggerOptions } from '../../src/telemetry/logger.js'

export type LogLine = Record<string, unknown> & { msg: string; level: string }

/** An app with problem documents and JSON bodies; `lines` collects what it logs. Closed when the test ends. */
export const smallApp = async (
  t: Test,
  {
    settings = {},
    bodyTimeoutMs = 5000,
    options = {},
  }: { settings?: ServerSettings; bodyTimeoutMs?: number; options?: Partial<FastifyServerOptions> } = {},
) => {
  const lines: LogLine[] = []
  const loggerInstance = pino(toLoggerOptions({ level: 'debug' }), { write: (line: string) => lines.push(JSON.parse(line) as LogLine) })
  const app = Fastify({ ...toServerOptions({ ...settings, loggerInstance }), ...options }) as unknown as FastifyInstance
  t.after(() => app.close())
  await app.register(problemJson)
  await app.register(accepts)
  await app.register(jsonBody, { bodyTimeoutMs })
  return { app, lines }
}

/** Starts listening on a free loopback port. */
export const listen = async (app: FastifyInstance): Promise<{ port: number; origin: string }> => {
  await app.listen({ port: 0, host: '127.0.0.1' })
  const { port } = app.server.address() as { port: number }
  return { port, origin: `http://127.0.0.1:${port}` }
}
