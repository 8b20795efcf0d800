// GET /admin/board: bull-board over the gateway's queues, for operators in a browser. It only shows unless BOARD_READ_ONLY=false.

import { createBullBoard } from '@bull-board/api'
import { BullMQAdapter } from '@bull-board/api/bullMQAdapter'
import { FastifyAdapter } from '@bull-board/fastify'
import type { FastifyInstance, FastifyReply, FastifyRequest, RouteOptions } from 'fastify'
import { toBearerToken } from '../../auth/bearer-token.js'
import { queueOfJobId } from '../../bullmq/job-id.js'
import type { Services } from '../../gateway.js'
import authenticate, { requireScope } from '../../http/authenticate.js'
import { requireSameOrigin } from '../../http/headers/same-origin.js'
import { wantsPage } from '../../http/html-page.js'
import { jobNotFound } from '../../http/job-responses.js'
import { problem, problemDetailsOf } from '../../http/problems/problem-json.js'
import { problemResponses } from '../../http/problems/problem-schema.js'
import { type BoardQueue, showFlow } from '../../operations/board-queues.js'
import { operatorTags } from '../../operations/queue-schema.js'
import { shareFor } from '../../runtime/single-flight.js'
import { carryOutBoardAct } from './board-actions.js'
import boardLogin, { boardPath, mayUseBoard, sendLogin, toReturn, toSessionToken } from './board-login.js'

export interface AdminBoardOptions {
  readonly services: Pick<
    Services,
    | 'apiKeys'
    | 'audit'
    | 'boardQueues'
    | 'boardSessions'
    | 'config'
    | 'control'
    | 'operations'
    | 'queueControl'
    | 'queues'
    | 'workerInstances'
  >
}

/** Styles that the interface of bull-board 9.10.1 makes: that of the Redis sign, and one that hides a scroll bar. */
const ownStyles = "'sha256-r2N1TB/gHbBtBZFKg7ejmq1acVSREzucTAEw6ga4hoU=' 'sha256-kLmvWqfziFavKtqHqRsb90f006UAK2Dmd0It5Iz2KFA='"

const securityPolicy = `default-src 'none'; script-src 'self'; style-src 'self' ${ownStyles}; img-src 'self' data:; font-src 'self'; connect-src 'self'; worker-src 'self'; base-uri 'self'; form-action 'none'; frame-ancestors 'none'`

/** A list of workers is shown to all who ask within this time. */
const workersMs = 1000

/** The interface asks for what it shows on one page; more would only fill memory. */
const jobsPerPageMax = 50

const page = { 'text/html': { schema: { type: 'string' } } }

const documented = {
  operationId: 'openBoard',
  summary: 'Open the dashboard',
  description:
    'A web page with queues, jobs and logs. Browsers without a session get a sign-in page that asks for an API key, which must not be restricted to some job types or queues. The dashboard is read-only unless BOARD_READ_ONLY is `false`.',
  tags: operatorTags,
  response: {
    200: { description: 'The dashboard.', content: page },
    401: {
      description: 'You are not signed in. Browsers get the sign-in page.',
      content: { ...problemResponses['4xx'].content, ...page },
    },
    ...problemResponses,
  },
}

const adminBoard = async (app: FastifyInstance, { services }: AdminBoardOptions) => {
  const { apiKeys, boardSessions: sessions } = services
  await app.register(async (scope) => {
    await scope.register(boardLogin, { apiKeys, sessions })
  })

  await app.register(async (scope) => {
    await scope.register(authenticate, {
      apiKeys,
      recall: (request) => {
        const token = toSessionToken(request)
        return token === null ? null : sessions.recall(token)
      },
    })
    scope.addHook('onRequest', requireScope('admin'))
    scope.setErrorHandler(answerFailure)
    scope.addHook('onSend', secure)
    guard(scope, services)
    await scope.register(board(services), { prefix: boardPath })
  })
}

const isAct = ({ method }: FastifyRequest): boolean => method !== 'GET' && method !== 'HEAD'

/** Who may do what, and acts carried out by the gateway instead of bull-board. */
const guard = (scope: FastifyInstance, services: AdminBoardOptions['services']) => {
  const { readOnly } = services.config.board

  scope.addHook('onRequest', async (request) => {
    if (!mayUseBoard(request.principal)) {
      throw problem(
        'forbidden',
        'The dashboard shows every queue, so it requires an API key that is not restricted to some job types or queues.',
      )
    }
    if (!isAct(request)) return
    if (readOnly) {
      throw problem('method-not-allowed', 'The dashboard is read-only. Set BOARD_READ_ONLY=false to allow changes.', {
        headers: { allow: 'GET, HEAD' },
      })
    }
    // What a browser sends along by itself does not prove that a person wanted it.
    if (toBearerToken(request.headers.authorization) === null) requireSameOrigin(request)
  })

  scope.addHook('preHandler', async (request, reply) => {
    requireJobId(request)
    if (!isAct(request)) return capPage(request)
    const route = `${request.method} ${request.routeOptions.url?.slice(boardPath.length)}`
    const { body } = request
    const params = request.params as Record<string, string>
    await carryOutBoardAct(services, route, { by: request.principal.keyId, params, body })
    return reply.send({})
  })

  // bull-board tells what went wrong in a form of its own.
  scope.addHook('preSerialization', async (_request, reply, payload) => {
    if (reply.statusCode < 400) return payload
    if (reply.statusCode === 404) throw problem('not-found', 'The dashboard has no such page.')
    throw unreadable()
  })
}

/** Every route that names a job means one of ours in the queue that it names: bull-board would read any other key of the queue too. */
const requireJobId = ({ params }: FastifyRequest): void => {
  const { queueName, jobId } = params as { queueName?: string; jobId?: string }
  if (jobId !== undefined && queueOfJobId(jobId) !== queueName) throw jobNotFound()
}

const unreadable = () => problem('bad-request', 'The dashboard does not understand this request.')

const capPage = ({ query }: FastifyRequest): void => {
  const asked = query as { jobsPerPage?: unknown }
  if (Number(asked.jobsPerPage) > jobsPerPageMax) asked.jobsPerPage = String(jobsPerPageMax)
}

const board = ({ boardQueues, config, queues, workerInstances }: AdminBoardOptions['services']) => {
  const { readOnly } = config.board
  const serverAdapter = new FastifyAdapter().setBasePath(boardPath)
  const adapters = new WeakMap<BoardQueue, BullMQAdapter>()
  // A page asks for the workers of each queue.
  const readWorkers = shareFor(workersMs, workerInstances)
  const toKnownAdapter = (queue: BoardQueue): BullMQAdapter => {
    const adapter = adapters.get(queue) ?? toAdapter(queue, readOnly, readWorkers)
    adapters.set(queue, adapter)
    return adapter
  }
  const { replaceQueues } = createBullBoard({
    queues: [],
    serverAdapter,
    options: {
      uiConfig: {
        boardTitle: 'Jobgate',
        hideDocsLink: true,
        miscLinks: [
          { text: 'API documentation', url: '/docs' },
          { text: 'Sign out', url: `${boardPath}/logout` },
        ],
      },
    },
  })
  let shown: readonly string[] = []
  const plugin = serverAdapter.registerPlugin()
  return async (scope: FastifyInstance, options: object) => {
    // Queues come and go; nothing is opened for them before somebody looks.
    scope.addHook('onRequest', async () => {
      if (shown === queues.names()) return
      shown = queues.names()
      replaceQueues(boardQueues().map(toKnownAdapter))
    })
    const facade = toFacade(scope)
    await new Promise<void>((resolve, reject) => plugin(facade, options, (error) => (error ? reject(error) : resolve())))
  }
}

/** The scope as bull-board's plugin is to see it: its first page is documented, and failures stay those of the gateway. */
const toFacade = (scope: FastifyInstance): FastifyInstance =>
  Object.create(scope, {
    // Its own handler would answer with the message of whatever was thrown.
    setErrorHandler: { value: () => scope },
    route: {
      value: (route: RouteOptions) => {
        if (route.url !== '/') return scope.route(route)
        scope.route({ ...route, schema: documented, prefixTrailingSlash: 'no-slash' })
        return scope.route({ ...route, prefixTrailingSlash: 'slash' })
      },
    },
  })

/** BullMQ counts workers by their connections, which Jobgate's share: it knows them by their heartbeats. */
const toAdapter = (
  { name: queueName, queue, getJob, getJobs, getJobLogs }: BoardQueue,
  readOnlyMode: boolean,
  workerInstances: Services['workerInstances'],
): BullMQAdapter => {
  const adapter = new BullMQAdapter(queue, { readOnlyMode })
  const getWorkers = async () =>
    (await workerInstances())
      .filter(({ queues }) => queues.includes(queueName))
      .map(({ id, host, pid }) => ({ id, name: host, addr: `process ${pid}`, age: 0 }))
  const getFlowProducer = async () => showFlow(await BullMQAdapter.prototype.getFlowProducer.call(adapter))
  return Object.assign(adapter, { getJob, getJobs, getJobLogs, getWorkers, getFlowProducer })
}

/** Failures are problem documents; the interface shows `message`. A browser that is not signed in gets the page that asks for a key. */
const answerFailure = (error: Error, request: FastifyRequest, reply: FastifyReply): FastifyReply => {
  // bull-board decodes names in the query by itself.
  const details = problemDetailsOf(error instanceof URIError ? unreadable() : error)
  if (!details) throw error
  const { problem: name, detail, ...extra } = details
  const isSignedOut = name === 'unauthorized'
  if (isSignedOut && wantsPage(request, reply)) return sendLogin(reply, { status: 401, returnTo: toReturn(request.url) })
  const message = isSignedOut ? 'Reload this page to sign in again.' : detail
  throw problem(name, detail, { ...extra, extensions: { ...extra.extensions, error: { key: 'ERRORS.FORBIDDEN' }, message } })
}

/** What the policy forbids anyway, so that browsers do not complain: fonts from elsewhere, and styles within the page. */
const forbidden = /<link href="https?:[^>]*>| style="[^"]*"|<style>[^<]*<\/style>/g

const secure = async (request: FastifyRequest, reply: FastifyReply, payload: unknown): Promise<unknown> => {
  const isAsset = request.url.startsWith(`${boardPath}/static/`) && reply.statusCode < 400
  reply.header('cache-control', isAsset ? 'private, max-age=86400' : 'no-store').header('referrer-policy', 'same-origin')
  if (reply.hasHeader('content-security-policy')) return payload
  reply.header('content-security-policy', securityPolicy)
  const isPage = String(reply.getHeader('content-type')).startsWith('text/html') && typeof payload === 'string'
  return isPage ? payload.replace(forbidden, '') : payload
}

export default adminBoard
