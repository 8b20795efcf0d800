// The client: sends submissions and writes down what became of each, before the next step and outside Redis.

import { closeSync, openSync, writeSync } from 'node:fs'
import { Pool } from 'undici'
import { adminKey } from '../helpers/start-probe-process.js'
import type { TestScope } from '../helpers/start-redis.js'
import type { Call, CallOutcome } from './checker.js'

/** No promise takes this long: who has no answer by then counts as hanging. */
const hangMs = 10_000
/** Enough that a queue grows at the gateway, not in this client. */
const connections = 512

/** What to submit; a payload is told by its label. */
export interface Send {
  readonly key: string
  readonly label?: string
  readonly type?: string
  readonly options?: object
}

/** `path` gets one line before and one after every call. Its connections end with the scope. */
export const createHistory = (scope: TestScope, path: string) => {
  const file = openSync(path, 'a')
  const calls: Call[] = []
  const accepted = new Map<string, Send>()
  const pools = new Map<string, Pool>()
  let open = 0
  scope.after(async () => {
    await Promise.all([...pools.values()].map((pool) => pool.destroy()))
    closeSync(file)
  })
  const note = (line: object) => writeSync(file, `${JSON.stringify(line)}\n`)
  const poolOf = (url: string) => {
    const known = pools.get(url)
    if (known) return known
    const pool = new Pool(url, { connections, headersTimeout: hangMs, bodyTimeout: hangMs, connect: { timeout: hangMs } })
    pools.set(url, pool)
    return pool
  }

  /** Writes down that something is sent; what is returned takes what became of it. */
  const begin = (send: Send) => {
    const { key, label = key } = send
    const start = Date.now()
    note({ what: 'begin', key, label, start })
    open++
    return (answer: Answer): Call => {
      open--
      const call: Call = { key, label, start, end: Date.now(), ...answer }
      calls.push(call)
      if (call.outcome === 'ok' && !accepted.has(key)) accepted.set(key, send)
      note({ what: 'end', ...call })
      return call
    }
  }
  /** Never rejects: whatever happens is an outcome. */
  const submit = async (url: string, send: Send): Promise<Call> => {
    const settle = begin(send)
    return settle(await request(poolOf(url), send.key, JSON.stringify(toBody(send))))
  }
  return {
    begin,
    submit,
    calls,
    /** By key: what was accepted first. */
    accepted,
    path,
    /** Calls that have not settled. */
    get open() {
      return open
    },
  }
}

export type History = ReturnType<typeof createHistory>

type Answer = Pick<Call, 'outcome' | 'status' | 'id' | 'fault'>

/** What is submitted, without its key. */
export const toBody = ({ key, label = key, type = 'echo', options }: Send) => ({ type, data: { label }, ...(options ? { options } : {}) })

const request = async (pool: Pool, key: string, body: string): Promise<Answer> => {
  try {
    const answer = await pool.request({
      method: 'POST',
      path: '/v1/jobs',
      headers: { authorization: `Bearer ${adminKey}`, 'content-type': 'application/json', 'idempotency-key': `"${key}"` },
      body,
    })
    const { id = null, detail = '' } = JSON.parse(await answer.body.text()) as { id?: string; detail?: string }
    const status = answer.statusCode
    const isBare = status === 503 && answer.headers['retry-after'] === undefined
    return { outcome: toOutcome(status, detail), status, id, ...(isBare ? { fault: 'a 503 without Retry-After' } : {}) }
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'UND_ERR_HEADERS_TIMEOUT' || code === 'UND_ERR_BODY_TIMEOUT') {
      return { outcome: 'unknown', status: null, id: null, fault: `no answer within ${hangMs} ms` }
    }
    // Nobody listened, so nobody can have stored anything.
    return { outcome: code === 'ECONNREFUSED' ? 'refused' : 'unknown', status: null, id: null }
  }
}

/** What an answer says about the job; `detail` is that of a problem. */
export const toOutcome = (status: number, detail: string): CallOutcome => {
  if (status < 300) return 'ok'
  if (status < 500) return 'refused'
  return /\b(?:was not|nothing was) stored\b/i.test(detail) ? 'refused' : 'unknown'
}
