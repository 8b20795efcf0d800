// An NDJSON import that has no end of its own: a line now and then, until the gateway ends it.

import { request } from 'node:http'
import { adminKey } from '../helpers/start-probe-process.js'
import { until } from '../helpers/until.js'
import type { Call } from './checker.js'
import { type Send, toBody, toOutcome } from './history.js'
import type { World } from './world.js'

const lineMs = 20
/** So many are accepted before the import counts as under way. */
const acceptedFirst = 5

interface Result {
  readonly index: number
  readonly status: number
  readonly id?: string
  readonly error?: { readonly detail?: string }
}

/**
 * Resolves when the first lines are accepted. Every line stands in the history like a submission of its own: what was never
 * answered is unknown. `over` settles when the answer or the connection has ended.
 */
export const startTrickle = async ({ scope, history }: World, { url, name }: { url: string; name: string }) => {
  const headers = { authorization: `Bearer ${adminKey}`, 'content-type': 'application/x-ndjson' }
  const importing = request(`${url}/v1/jobs/batch`, { method: 'POST', headers })
  const closed = new Promise((resolve) => importing.once('close', resolve))
  // How it ends is told by its lines.
  importing.on('error', () => {})
  scope.after(() => importing.destroy())

  const open = new Map<number, ReturnType<typeof history.begin>>()
  const left: Send[] = []
  let sent = 0
  let accepted = 0
  const settle = (index: number, send: Send, answer: Pick<Call, 'outcome' | 'status' | 'id'>) => {
    open.get(index)?.(answer)
    open.delete(index)
    if (answer.outcome === 'ok') accepted++
    else left.push(send)
  }
  const toSend = (index: number): Send => ({ key: `${name}${index}` })
  const timer = setInterval(() => {
    const send = toSend(sent)
    open.set(sent, history.begin(send))
    sent++
    importing.write(`${JSON.stringify({ ...toBody(send), idempotencyKey: send.key })}\n`)
  }, lineMs)

  let status = 0
  importing.on('response', (response) => {
    status = response.statusCode ?? 0
    let rest = ''
    response.setEncoding('utf8')
    response.on('data', (chunk: string) => {
      const lines = (rest + chunk).split('\n')
      rest = lines.pop() as string
      for (const { index, status, id = null, error } of lines.map((line) => JSON.parse(line) as Result)) {
        settle(index, toSend(index), { outcome: toOutcome(status, error?.detail ?? ''), status, id })
      }
    })
    response.on('error', () => {})
    // It takes no more: a client that went on writing would never notice.
    response.on('end', () => importing.destroy())
  })

  const over = closed.then(() => {
    clearInterval(timer)
    for (const index of [...open.keys()]) settle(index, toSend(index), { outcome: 'unknown', status: null, id: null })
    return { status, sent, accepted, left }
  })
  await until('lines of the import are accepted', () => accepted >= acceptedFirst)
  return { over }
}
