// How Jobgate logs: one JSON line an event, without headers, query values, bodies or arguments of Redis commands.

import { type Logger, type LoggerOptions, pino } from 'pino'

/** What is logged of an error. Everything else it carries, such as the arguments of a Redis command, stays out. */
interface LoggedError {
  type: string
  message: string
  code?: string | undefined
  stack?: string | undefined
  cause?: LoggedError | undefined
}

const messageLengthMax = 2000
const stackLengthMax = 8000

/** The loggable part of whatever was thrown. Depth of `cause`: 3. */
export const toLoggedError = (error: unknown, depth = 3): LoggedError => {
  if (!(error instanceof Error)) return { type: typeof error, message: 'not an Error' }
  const { code } = error as NodeJS.ErrnoException
  return {
    type: error.constructor.name || error.name,
    message: error.message.slice(0, messageLengthMax),
    code: typeof code === 'string' ? code : undefined,
    stack: error.stack?.slice(0, stackLengthMax),
    cause: depth > 0 && error.cause !== undefined ? toLoggedError(error.cause, depth - 1) : undefined,
  }
}

/** Members that are censored wherever a log call puts them, one level below its top included. */
const secretMembers = [
  'authorization',
  'cookie',
  'set-cookie',
  'x-api-key',
  'idempotency-key',
  'idempotencyKey',
  'apiKey',
  'secret',
  'password',
  'token',
  'signature',
  'data',
  'body',
]

/** Paths in the notation of pino's redaction. */
const toPaths = (name: string): string[] => {
  const member = /^[A-Za-z]+$/.test(name) ? name : `["${name}"]`
  const below = member.startsWith('[') ? `*${member}` : `*.${member}`
  return [member, below, `*.headers${member.startsWith('[') ? '' : '.'}${member}`]
}

/** The request and the reply, as far as they may be logged: no query, no header, no body. */
interface RequestLike {
  method?: string
  routeOptions?: { url?: string | undefined }
}

const serializers = {
  err: (error: unknown) => toLoggedError(error),
  req: (request: RequestLike) => ({ method: request.method, route: request.routeOptions?.url ?? null }),
  res: (reply: { statusCode?: number }) => ({ statusCode: reply.statusCode }),
}

/**
 * Options for pino, and for Fastify's `logger`.
 * In: `level`, a pino level or `silent`; `bindings`, members of every line, such as the instance.
 */
export const toLoggerOptions = ({ level, bindings = {} }: { level: string; bindings?: Record<string, unknown> }): LoggerOptions => ({
  level,
  base: { pid: process.pid, ...bindings },
  timestamp: pino.stdTimeFunctions.isoTime,
  formatters: { level: (label) => ({ level: label }) },
  redact: { paths: secretMembers.flatMap(toPaths), censor: '***' },
  serializers,
})

/** A logger of its own, for what runs outside HTTP. `destination` defaults to standard output. */
export const createLogger = (
  options: { level: string; bindings?: Record<string, unknown> },
  destination?: { write(line: string): void },
): Logger => (destination ? pino(toLoggerOptions(options), destination) : pino(toLoggerOptions(options)))
