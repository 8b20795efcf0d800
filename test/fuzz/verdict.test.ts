// The fuzzer sees what is wrong: each of these answers must be reported, and a good one must not.

import t from 'tap'
import { operations } from './document.js'
import type { Plan } from './requests.js'
import { judge } from './verdict.js'
import type { WireAnswer, WireRequest } from './wire.js'

const plan: Plan = { flavor: 'valid', caller: 'admin', method: null, path: {}, query: [], headers: [], body: null }
const requestId = 'r-1'
const rateLimits = { ratelimit: '"default";r=1;t=1', 'ratelimit-policy': '"default";q=1;w=1' }

const operationOf = (id: string) => {
  const found = operations.find((operation) => operation.id === id)
  if (!found) throw new Error(`no operation ${id}`)
  return found
}

const faultOf = (id: string, answer: Partial<WireAnswer>, { target = '', body = '' } = {}): string | null => {
  const operation = operationOf(id)
  const request: WireRequest = {
    method: operation.method,
    target: target || operation.template.replace('{id}', 'mail_AAAAAAAAAAAAAAAAAAAAAA'),
    headers: [],
    body: Buffer.from(body),
  }
  const headers = { 'x-request-id': requestId, 'content-type': 'application/json; charset=utf-8', ...rateLimits, ...answer.headers }
  try {
    judge(operation, plan, request, { status: 200, body: '', tookMs: 1, ...answer, headers })
    return null
  } catch (error) {
    return (error as Error).message
  }
}

const problem = (status: number, more: object = {}, headers: Record<string, string> = {}): Partial<WireAnswer> => ({
  status,
  headers: { 'content-type': 'application/problem+json', ...headers },
  body: JSON.stringify({ type: '/problems/x', title: 'X', status, detail: 'Wrong.', requestId, ...more }),
})

const page = JSON.stringify({ items: [], next: null })

t.test('good answers', async (t) => {
  t.equal(faultOf('listOperations', { body: page }), null)
  t.equal(faultOf('listOperations', problem(400)), null)
  t.equal(faultOf('listOperations', problem(503, {}, { 'retry-after': '1' })), null)
  t.equal(faultOf('deleteSchedule', { status: 204 }), null)
  t.equal(faultOf('submitJob', problem(400, { errors: [{ pointer: '#/type', detail: 'is missing' }] }), { body: '{}' }), null)
})

t.test('planted faults', async (t) => {
  const planted: readonly (readonly [RegExp, string | null])[] = [
    [/a 500/, faultOf('listOperations', problem(500))],
    [/a 502/, faultOf('listOperations', problem(502))],
    [/503 without Retry-After/, faultOf('listOperations', problem(503))],
    [/401 without WWW-Authenticate/, faultOf('listOperations', problem(401))],
    [/another status/, faultOf('listOperations', problem(400, { status: 404 }))],
    [/another requestId/, faultOf('listOperations', problem(400, { requestId: 'r-2' }))],
    [/our insides/, faultOf('listOperations', problem(400, { detail: 'ReplyError: WRONGTYPE' }))],
    [/without X-Request-Id/, faultOf('listOperations', { body: page, headers: { 'x-request-id': undefined as unknown as string } })],
    [/not documented/, faultOf('listOperations', { status: 206, body: page })],
    [/documented is application\/json/, faultOf('listOperations', { body: page, headers: { 'content-type': 'text/html' } })],
    [/documented is application\/problem\+json/, faultOf('listOperations', { status: 404, body: page })],
    [/does not fit its schema/, faultOf('listOperations', { body: JSON.stringify({ items: [] }) })],
    [/does not fit its schema/, faultOf('listOperations', { body: JSON.stringify({ items: [], next: null, more: 1 }) })],
    [/documented is none/, faultOf('deleteSchedule', { status: 204, body: '{}' })],
    [/without Cache-Control/, faultOf('issueApiKey', { status: 201 })],
    [/is not documented/, faultOf('listOperations', { body: page }, { target: '/admin/nothing' })],
    [/the document does not allow/, faultOf('submitJob', { status: 202, headers: { location: '/' } }, { body: '{"type":"nothing"}' })],
    [
      /the document allows is refused/,
      faultOf('issueApiKey', problem(400, { errors: [{ pointer: '#/name', detail: 'must be string' }] }), {
        body: JSON.stringify({ name: 'Web shop', scopes: ['jobs:read'] }),
      }),
    ],
  ]
  for (const [wanted, fault] of planted) t.match(fault ?? 'nothing', wanted)
})
