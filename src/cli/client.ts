// Calls a gateway over HTTP for the commands: one answer or one readable failure, safely again where that is harmless.

import { setTimeout as pause } from 'node:timers/promises'
import type { ClientSettings } from '../config/config.js'
import { exitCodes } from './exit-codes.js'

/** What went wrong. `text` is for people, `problem` is the gateway's problem document or one of the same shape. */
export interface Failure {
  readonly kind: 'failure'
  readonly exitCode: number
  readonly text: string
  readonly problem: Readonly<Record<string, unknown>>
}

/** `body` is the parsed JSON, null for an answer without one. */
export type Answer = { readonly kind: 'answer'; readonly status: number; readonly body: unknown } | Failure

/** An answer whose body is still to be read. */
export type Opened = { readonly kind: 'opened'; readonly response: Response } | Failure

interface Call {
  readonly body?: unknown
  readonly headers?: Readonly<Record<string, string>>
  /** Sending it twice does what sending it once does: GET, or with an Idempotency-Key. */
  readonly repeatable?: boolean
}

const answerTimeoutMs = 30_000
const attemptsMax = 3
const firstPauseMs = 250
const pauseMsMax = 5000

export const createClient = ({ url, apiKey }: ClientSettings) => {
  const base = url.replace(/\/+$/, '')
  const authorization: Record<string, string> = apiKey === undefined ? {} : { authorization: `Bearer ${apiKey}` }

  const send = async (method: string, path: string, { body, headers }: Call, signal: AbortSignal): Promise<Opened> => {
    const content: Record<string, string> = body === undefined ? {} : { 'content-type': 'application/json' }
    const init = { method, headers: { ...authorization, ...content, ...headers }, redirect: 'error' as const, signal }
    try {
      const response = await fetch(`${base}${path}`, body === undefined ? init : { ...init, body: JSON.stringify(body) })
      return response.ok ? { kind: 'opened', response } : await toFailure(response)
    } catch (error) {
      return unreachable(base, error)
    }
  }

  return {
    /** Sends a request and reads its JSON. What is repeatable is sent up to 3 times while the gateway is away or busy. */
    async call(method: string, path: string, call: Call = {}): Promise<Answer> {
      for (let attempt = 1; ; attempt++) {
        const opened = await send(method, path, call, AbortSignal.timeout(answerTimeoutMs))
        const answer = opened.kind === 'opened' ? await read(base, opened.response) : opened
        const isWorthwhile = answer.kind === 'failure' && isPassing(answer) && attempt < attemptsMax
        if (!isWorthwhile || !(call.repeatable ?? method === 'GET')) return answer
        await pause(pauseMs(answer, attempt))
      }
    },
    /** Opens an answer that is read as it comes. Sent once. */
    open: (path: string, headers: Readonly<Record<string, string>>, signal: AbortSignal): Promise<Opened> =>
      send('GET', path, { headers }, signal),
  }
}

export type Client = ReturnType<typeof createClient>

/** Whether the same request may succeed later: no answer, too many, or not available. */
export const isPassing = ({ exitCode, problem }: Failure): boolean => exitCode === exitCodes.unavailable || problem['status'] === 429

const pauseMs = ({ problem }: Failure, attempt: number): number =>
  Math.min(typeof problem['retryAfterMs'] === 'number' ? problem['retryAfterMs'] : firstPauseMs * 2 ** attempt, pauseMsMax)

const read = async (base: string, response: Response): Promise<Answer> => {
  try {
    const text = await response.text()
    return { kind: 'answer', status: response.status, body: text === '' ? null : JSON.parse(text) }
  } catch (error) {
    return error instanceof SyntaxError
      ? toNoGateway(base, 'The response is not JSON. Does JOBGATE_URL point to a gateway?')
      : unreachable(base, error)
  }
}

/** The reason lies in `cause`, such as ECONNREFUSED; a message could repeat a header. */
const unreachable = (base: string, error: unknown): Failure => {
  const { name, cause } = error as Error & { cause?: { code?: unknown } }
  const reason = typeof cause?.code === 'string' ? cause.code : name === 'TimeoutError' ? 'timed out' : 'connection failed'
  return toNoGateway(base, `Cannot connect (${reason}). Start the gateway, or set JOBGATE_URL to its URL.`)
}

const toNoGateway = (base: string, detail: string): Failure => ({
  kind: 'failure',
  exitCode: exitCodes.unavailable,
  text: `${new URL(base).origin}: ${detail}`,
  problem: { title: 'Gateway unavailable', detail },
})

const toFailure = async (response: Response): Promise<Failure> => {
  const { status } = response
  const text = await response.text()
  const retryAfter = Number(response.headers.get('retry-after') ?? Number.NaN)
  const problem = {
    ...parseObject(text),
    status,
    ...(Number.isFinite(retryAfter) ? { retryAfterMs: retryAfter * 1000 } : {}),
  }
  return { kind: 'failure', exitCode: status >= 500 ? exitCodes.unavailable : exitCodes.refused, text: toText(problem), problem }
}

const parseObject = (text: string): Record<string, unknown> => {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? { ...value } : {}
  } catch {
    // A proxy in between answers with a page of its own: the status alone tells then.
    return {}
  }
}

/** A problem document as lines: what, why, which members, and what to quote to the operator. */
const toText = (problem: Readonly<Record<string, unknown>>): string => {
  const { status, title, detail, errors, requestId } = problem
  const lines = [`${typeof title === 'string' ? title : 'Request refused'} (${status})`]
  if (typeof detail === 'string') lines.push(`  ${detail}`)
  if (Array.isArray(errors)) {
    for (const { pointer, parameter, detail } of errors) lines.push(`  ${pointer ?? parameter ?? ''} ${detail ?? ''}`)
  }
  if (status === 401) lines.push('  Set JOBGATE_API_KEY, or set JOBGATE_API_KEY_FILE to a file that contains the key.')
  if (typeof requestId === 'string') lines.push(`  request ${requestId}`)
  return lines.join('\n')
}
