// Signing in to the dashboard with an API key, and out again: two small pages, and the cookie of a session.

import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { ApiKeys } from '../../auth/api-keys.js'
import { type BoardSessions, boardSessionMs } from '../../auth/board-sessions.js'
import { hasScope, isLimited, type Principal, type Verification } from '../../auth/grants.js'
import { bearerChallenge } from '../../http/authenticate.js'
import { formType } from '../../http/bodies/json-body.js'
import { requireSameOrigin } from '../../http/headers/same-origin.js'
import { renderPage, sendPage, toHtml } from '../../http/html-page.js'

export interface BoardLoginOptions {
  readonly apiKeys: Pick<ApiKeys, 'verify'>
  readonly sessions: BoardSessions
}

export const boardPath = '/admin/board'

const cookieName = 'jobgate_board'
const cookie = new RegExp(`(?:^|;\\s*)${cookieName}=([A-Za-z0-9_-]{43})(?:;|$)`)
const cookieHeaderCharsMax = 8192
const formBytesMax = 4096
/** What can be a key, as in an Authorization header. */
const keyForm = /^[\x21-\x7e]{1,512}$/
/** Pages of the dashboard that a login may lead back to. */
const returnForm = new RegExp(`^${boardPath}(?:/[A-Za-z0-9_-]{1,64}){0,3}$`)

/** The token of the session that a request brings; null without one. */
export const toSessionToken = (request: FastifyRequest): string | null => {
  const header = request.headers.cookie
  return header === undefined || header.length > cookieHeaderCharsMax ? null : (cookie.exec(header)?.[1] ?? null)
}

export const mayUseBoard = (principal: Principal): boolean => hasScope(principal, 'admin') && !isLimited(principal)

/** Register it in a scope of its own: it reads forms, and its routes are public. */
const boardLogin = async (app: FastifyInstance, { apiKeys, sessions }: BoardLoginOptions) => {
  app.addContentTypeParser(formType, { parseAs: 'string', bodyLimit: formBytesMax }, (_request, body, done) => {
    done(null, new URLSearchParams(body as string))
  })
  const hidden = { schema: { hide: true } }

  app.post(`${boardPath}/login`, { ...hidden, bodyLimit: formBytesMax }, async (request, reply) => {
    requireSameOrigin(request)
    const form = request.body instanceof URLSearchParams ? request.body : new URLSearchParams()
    const key = form.get('key')?.trim() ?? ''
    const returnTo = toReturn(form.get('to') ?? '')
    const verification: Verification = keyForm.test(key) ? await apiKeys.verify(key) : { kind: 'refused' }
    if (verification.kind === 'unavailable') return sendLogin(reply, { status: 503, fault: faults.unavailable, returnTo })
    if (verification.kind !== 'valid') {
      return sendLogin(reply, { status: 401, fault: faults[verification.kind], returnTo })
    }
    if (!mayUseBoard(verification.principal)) return sendLogin(reply, { status: 403, fault: faults.forbidden, returnTo })
    const token = await sessions.open(key, verification.principal.keyId)
    request.log.info({ keyId: verification.principal.keyId }, 'signed in to the dashboard')
    return setCookie(request, reply, token, boardSessionMs / 1000).redirect(returnTo, 303)
  })

  app.get(`${boardPath}/logout`, hidden, async (_request, reply) => sendPage(noStore(reply), logoutPage, { hasForm: true }))

  app.post(`${boardPath}/logout`, hidden, async (request, reply) => {
    requireSameOrigin(request)
    const token = toSessionToken(request)
    if (token !== null) await sessions.close(token)
    return setCookie(request, noStore(reply), '', 0).redirect(boardPath, 303)
  })
}

const faults = {
  refused: 'This key is unknown or was revoked.',
  expired: 'This key has expired.',
  forbidden: 'The dashboard requires a key with the admin scope that is not restricted to some job types or queues.',
  unavailable: 'The key cannot be verified because Redis is not responding. Try again shortly.',
}

/** Answers with the page that asks for a key. `returnTo`, an address of the dashboard, is where a login leads. */
export const sendLogin = (reply: FastifyReply, options: { status: number; fault?: string; returnTo: string }): FastifyReply => {
  if (options.status === 401) reply.header('www-authenticate', bearerChallenge)
  return sendPage(noStore(reply).code(options.status), renderLogin(options), { hasForm: true })
}

/** An address that a login may lead to: a page of the dashboard, else its first one. */
export const toReturn = (url: string): string => {
  const path = url.split('?', 1)[0] as string
  return returnForm.test(path) ? path : boardPath
}

const renderLogin = ({ fault, returnTo }: { fault?: string; returnTo: string }): string =>
  renderPage(
    'Sign in · Jobgate',
    `<h1>Dashboard</h1>
<p>Sign in with an API key that has the <code>admin</code> scope. You stay signed in for eight hours, or until the key expires or is revoked.</p>
${fault === undefined ? '' : `<p class="fault" role="alert">${toHtml(fault)}</p>`}
<form method="post" action="${boardPath}/login">
<input type="hidden" name="to" value="${toHtml(returnTo)}">
<label for="key">API key</label>
<input id="key" name="key" type="password" autocomplete="current-password" maxlength="512" spellcheck="false" required autofocus>
<button type="submit">Sign in</button>
</form>
<p>Already signed in, and came here from another site? <a href="${toHtml(returnTo)}">Continue to the dashboard</a>.</p>
<p><a href="/">About this gateway</a></p>`,
  )

const logoutPage = renderPage(
  'Sign out · Jobgate',
  `<h1>Sign out</h1>
<p>This ends your dashboard session on every instance of the gateway.</p>
<form method="post" action="${boardPath}/logout">
<button type="submit">Sign out</button>
</form>
<p><a href="${boardPath}">Back to the dashboard</a></p>`,
)

const setCookie = (request: FastifyRequest, reply: FastifyReply, value: string, seconds: number): FastifyReply => {
  const secure = request.protocol === 'https' ? '; Secure' : ''
  return reply.header('set-cookie', `${cookieName}=${value}; Path=${boardPath}; Max-Age=${seconds}; HttpOnly; SameSite=Strict${secure}`)
}

const noStore = (reply: FastifyReply): FastifyReply => reply.header('cache-control', 'no-store')

export default boardLogin
