// Keeps the tenant token that every call to Lark carries: fetched once for all, and before the old one ends.

import type { VendorHttp, VendorReply } from '../http.js'
import { toObject, toText } from '../json.js'
import { type LarkFailure, type LarkOutcome, toFailure } from './job-errors.js'

/** Lark issues a new token only in the last half hour of the old one; fetching in its last minutes leaves no gap. */
const refreshBeforeMs = 5 * 60_000
/** No valid answer lacks it; it is short, so that a wrong guess does little harm. */
const expireSecondsDefault = 60

/**
 * In: `toFailure` explains an answer that holds no token; `isKnown` tells error codes that have nothing to do with credentials.
 * Calls that come while a token is being fetched wait for that one.
 */
export const createLarkTokens = (deps: {
  http: VendorHttp
  settings: { readonly appId: string; readonly appSecret: string }
  toFailure(reply: VendorReply): LarkFailure
  isKnown(vendorCode: number): boolean
}) => {
  let current: { token: string; refreshAt: number } | undefined
  let underWay: Promise<LarkOutcome<string>> | undefined

  const fetch = async (): Promise<LarkOutcome<string>> => {
    const reply = await deps.http.call({
      method: 'POST',
      path: '/open-apis/auth/v3/tenant_access_token/internal',
      headers: { 'content-type': 'application/json; charset=utf-8' },
      body: JSON.stringify({ app_id: deps.settings.appId, app_secret: deps.settings.appSecret }),
      // Shared by several jobs: the end of one must not take the token from the others.
      signal: new AbortController().signal,
    })
    const { code, tenant_access_token, expire } = toObject(reply.kind === 'answered' ? reply.json : undefined)
    const token = toText(tenant_access_token)
    if (code === 0 && token !== undefined) {
      const lifeMs = (typeof expire === 'number' ? expire : expireSecondsDefault) * 1000
      current = { token, refreshAt: Date.now() + Math.max(lifeMs - refreshBeforeMs, lifeMs / 2) }
      return { kind: 'done', value: token }
    }
    // A definite answer of this route that is no known trouble means the credentials are wrong.
    const isRefusal =
      reply.kind === 'answered' && reply.status < 500 && reply.status !== 429 && typeof code === 'number' && !deps.isKnown(code)
    return isRefusal ? toFailure({ kind: 'refused', code: 'lark.authentication_failed' }, code) : deps.toFailure(reply)
  }

  return {
    async get(): Promise<LarkOutcome<string>> {
      if (current && Date.now() < current.refreshAt) return { kind: 'done', value: current.token }
      underWay ??= fetch().finally(() => {
        underWay = undefined
      })
      return underWay
    },
    /** Forgets a token that Lark refused, unless a newer one has taken its place. */
    drop(token: string): void {
      if (current?.token === token) current = undefined
    },
  }
}
