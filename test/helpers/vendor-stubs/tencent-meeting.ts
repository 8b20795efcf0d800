// Stands in for Tencent Meeting: checks signature, clock and nonce, answers business errors with HTTP 500.

import { createHmac } from 'node:crypto'
import type { TestScope } from '../start-redis.js'
import { type StubReply, type StubRequest, startStubServer } from './stub-server.js'

const skewMs = 5 * 60_000
const pageSize = 20

export const tencentError = (code: number, more: Record<string, unknown> = {}): StubReply => ({
  status: 500,
  body: { error_info: { error_code: code, message: 'refused by the stub', ...more } },
})

/** One app, known by its secret id and key. */
export const startTencentStub = async (t: TestScope, { secretId = 'stub-id', secretKey = 'stub-key', appId = '200000001' } = {}) => {
  const meetings = new Map<string, Record<string, unknown>>()
  const nonces = new Set<string>()
  const stub = { needsSts: undefined as string | undefined }
  let last = 1_000_000_000_000_000_000n

  const refuse = ({ method, uri, headers, body }: StubRequest): StubReply | null => {
    const [key, timestamp, nonce, signature] = ['x-tc-key', 'x-tc-timestamp', 'x-tc-nonce', 'x-tc-signature'].map((name) =>
      String(headers[name]),
    )
    if (key !== secretId || headers['appid'] !== appId || headers['x-tc-registered'] !== '1') return tencentError(190303)
    if (!/^\d{1,19}$/.test(nonce as string) || BigInt(nonce as string) > 2n ** 63n) return tencentError(190303)
    const text = `${method}\nX-TC-Key=${key}&X-TC-Nonce=${nonce}&X-TC-Timestamp=${timestamp}\n${uri}\n${body}`
    const wanted = Buffer.from(createHmac('sha256', secretKey).update(text).digest('hex')).toString('base64')
    if (signature !== wanted) return tencentError(200003)
    if (Math.abs(Date.now() - Number(timestamp) * 1000) > skewMs) return tencentError(190300)
    if (nonces.has(nonce as string)) return tencentError(190301)
    nonces.add(nonce as string)
    return null
  }

  const create = (body: string): StubReply => {
    const { userid, ...given } = JSON.parse(body) as Record<string, unknown>
    if (typeof given['start_time'] !== 'string' || typeof given['end_time'] !== 'string') return tencentError(190001)
    const meeting = {
      ...given,
      meeting_id: String(++last),
      meeting_code: '123456789',
      join_url: 'https://meeting.example/dm/x',
      status: 'MEETING_STATE_INIT',
      creator: { userid },
    }
    meetings.set(meeting.meeting_id, meeting)
    return { body: { meeting_number: 1, meeting_info_list: [meeting] } }
  }

  const list = (query: URLSearchParams): StubReply => {
    const own = [...meetings.values()].filter(({ creator }) => (creator as { userid: string }).userid === query.get('userid'))
    const start = Number(query.get('pos') ?? 0)
    const page = own.slice(start, start + pageSize)
    const remaining = own.length - start - page.length
    return { body: { meeting_number: page.length, remaining, next_pos: start + page.length, next_cursory: 1, meeting_info_list: page } }
  }

  const work = (request: StubRequest): StubReply => {
    const refused = refuse(request)
    if (refused) return refused
    const { method, path, query, body, headers } = request
    if (method === 'POST' && path === '/v1/meetings') return create(body)
    if (method === 'GET' && path === '/v1/meetings') return list(query)
    const [, id, cancels] = /^\/v1\/meetings\/(\d+)(\/cancel)?$/.exec(path) ?? []
    if (id !== undefined) {
      const meeting = meetings.get(id)
      if (!meeting) return tencentError(9003)
      if (cancels) {
        meetings.delete(id)
        return { body: {} }
      }
      if (method === 'PUT') Object.assign(meeting, JSON.parse(body))
      return { body: { meeting_number: 1, meeting_info_list: [meeting] } }
    }
    if (/^\/v1\/(records|addresses|smart|recording)\//.test(path)) {
      if (stub.needsSts !== undefined && headers['sts-token'] !== stub.needsSts) return tencentError(500125)
      return { body: { minutes: { paragraphs: [] } } }
    }
    return tencentError(190001)
  }

  const server = await startStubServer(t, { work })
  return { ...server, secretId, secretKey, appId, meetings, stub }
}
