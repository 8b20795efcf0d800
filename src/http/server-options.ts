// Options of the HTTP server itself: what happens to a request before any plugin sees it.

import type { Server } from 'node:http'
import type { Socket } from 'node:net'
import {
  type FastifyBaseLogger,
  type FastifyHttpOptions,
  type FastifyReply,
  type FastifyRequest,
  type FastifyServerOptions,
  LogController,
} from 'fastify'
import type { Bindings, Logger } from 'pino'
import { createLazyLogger } from '../telemetry/lazy-logger.js'
import { paramCharsMax } from '../types/schema-parts.js'
import { type OwnChecks, validatorCompilers } from '../types/validator.js'
import { toRequestId } from './headers/request-id.js'
import { destroyLater, discardInput, endConnection } from './limits/end-connection.js'
import { isCut, lastPending } from './limits/pipelining.js'
import { sendProblem, toProblemDetails } from './problems/problem-json.js'
import type { ProblemDetails } from './problems/problem-types.js'
import { toRawProblem } from './problems/raw-problem.js'
import { createSerializerCompilers } from './serializer.js'

/** Fastify names the types of the builders after the packages that make its own. */
type CompilersFactory = NonNullable<NonNullable<FastifyServerOptions['schemaController']>['compilersFactory']>

const headersTimeoutMs = 10_000
/** Node looks for slow headers only this often; its default of 30 s would let them live three times as long. */
const checkIntervalMs = 1000
const keepAliveTimeoutMs = 72_000
const maxRequestsPerSocket = 100_000

export interface ServerSettings {
  readonly loggerInstance?: FastifyBaseLogger
  /** Addresses or CIDR ranges of proxies; empty believes none. */
  readonly trustProxy?: readonly string[]
  /** Largest JSON body in bytes. */
  readonly bodyLimitBytes?: number
  /** Complete headers have to arrive within this time. */
  readonly headersTimeoutMs?: number
  /** Bodies that are checked otherwise than by their schema. */
  readonly ownChecks?: OwnChecks
}

/**
 * Options for `Fastify()`: request ids, problem documents for what fails before a route is found,
 * validation without coercion of bodies, and limits for slow clients.
 */
export const toServerOptions = (settings: ServerSettings = {}) =>
  ({
    ...(settings.loggerInstance ? { loggerInstance: settings.loggerInstance } : {}),
    logController: new LogController({ disableRequestLogging: true, requestIdLogLabel: 'reqId' }),
    // Every request gets a logger; few write a line before their answer.
    childLoggerFactory: (logger, bindings) => createLazyLogger(logger as Logger, () => bindings as Bindings),
    requestIdHeader: false,
    genReqId: toRequestId,
    trustProxy: settings.trustProxy && settings.trustProxy.length > 0 ? [...settings.trustProxy] : false,
    bodyLimit: settings.bodyLimitBytes ?? 1_048_576,
    onProtoPoisoning: 'error',
    onConstructorPoisoning: 'error',
    // Requests that arrive while closing are answered by plugins/graceful-close, as a problem document.
    return503OnClosing: false,
    schemaController: {
      compilersFactory: {
        buildValidator: (schemas: Record<string, unknown>) => validatorCompilers(schemas, settings.ownChecks),
        buildSerializer: createSerializerCompilers(),
      } as unknown as CompilersFactory,
    },
    keepAliveTimeout: keepAliveTimeoutMs,
    // 0: the deadline of a body belongs to its route, since an NDJSON import may flow for hours.
    requestTimeout: 0,
    maxRequestsPerSocket,
    http: {
      headersTimeout: settings.headersTimeoutMs ?? headersTimeoutMs,
      connectionsCheckingInterval: checkIntervalMs,
      // Node would answer a missing Host without a body; plugins/problem-json refuses it instead.
      requireHostHeader: false,
      // Whatever NODE_OPTIONS says.
      insecureHTTPParser: false,
    },
    frameworkErrors: (error: Error, request: FastifyRequest, reply: FastifyReply) => {
      sendProblem(request, reply, toProblemDetails(error, request.method))
    },
    clientErrorHandler: answerClientError,
    routerOptions: { maxParamLength: paramCharsMax },
  }) as const satisfies FastifyHttpOptions<Server>

const socketProblems: Readonly<Record<string, ProblemDetails>> = {
  ERR_HTTP_REQUEST_TIMEOUT: { problem: 'request-timeout', detail: 'The headers did not arrive in time.' },
  HPE_HEADER_OVERFLOW: { problem: 'headers-too-large', detail: 'The request line and headers exceed 16 KiB.' },
  HPE_CHUNK_EXTENSIONS_OVERFLOW: { problem: 'payload-too-large', detail: 'The chunk extensions of the body are too large.' },
}
const unreadable: ProblemDetails = { problem: 'bad-request', detail: 'This is not a well-formed HTTP request.' }

/** Answers what Node could not parse, and ends the connection. Requests before it get their own answers first, for up to 2 s. */
function answerClientError(error: NodeJS.ErrnoException, socket: Socket): void {
  // Its end is under way.
  if (isCut(socket)) return
  const pending = lastPending(socket)
  const isBroken = pending !== null && pending.socket !== null && !pending.req.complete
  // A reset has nobody to answer to; into a started answer nothing else may be written.
  if (error.code === 'ECONNRESET' || !socket.writable || (isBroken && pending.headersSent)) {
    socket.destroy()
    return
  }
  discardInput(socket)
  const answer = () => endConnection(socket, toRawProblem(socketProblems[error.code ?? ''] ?? unreadable))
  if (pending === null || isBroken) {
    answer()
    return
  }
  destroyLater(socket)
  pending.once('close', () => {
    if (socket.writable) answer()
  })
}
