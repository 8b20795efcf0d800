// Stands in for Lark Bitable: tokens that end, errors at HTTP 200, a memory of client tokens, one writer a table.

import type { TestScope } from '../start-redis.js'
import { type StubReply, type StubRequest, startStubServer } from './stub-server.js'

type Fields = Record<string, unknown>
const uuidV4 = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/
const recordsRoute = /^\/open-apis\/bitable\/v1\/apps\/([^/]+)\/tables\/([^/]+)\/records(?:\/([^/]+))?$/
const tokenPath = '/open-apis/auth/v3/tenant_access_token/internal'

const ok = (data: unknown): StubReply => ({ body: { code: 0, msg: 'success', data } })
const no = (code: number, status = 200): StubReply => ({ status, body: { code, msg: 'no' } })

/** `expireSeconds` is what new tokens are said to live. */
export const startLarkStub = async (t: TestScope, { appId = 'cli_stub', appSecret = 'stub-secret' } = {}) => {
  const tables = new Map<string, Map<string, Fields>>()
  const remembered = new Map<string, StubReply>()
  const tokens = new Set<string>()
  const writing = new Set<string>()
  const stub = { expireSeconds: 7200, tokensIssued: 0, conflicts: 0 }
  let lastRecord = 0
  /** Set: writes wait for it, so that a test can see two of them meet. */
  let gate: Promise<void> | undefined

  const issueToken = ({ body }: StubRequest): StubReply => {
    const given = JSON.parse(body) as { app_id?: string; app_secret?: string }
    if (given.app_id !== appId || given.app_secret !== appSecret) return { body: { code: 10014, msg: 'app secret invalid' } }
    const token = `t-${++stub.tokensIssued}`
    tokens.add(token)
    return { body: { code: 0, msg: 'ok', tenant_access_token: token, expire: stub.expireSeconds } }
  }

  const tableOf = (app: string, table: string): Map<string, Fields> => {
    const name = `${app}/${table}`
    const records = tables.get(name) ?? new Map<string, Fields>()
    tables.set(name, records)
    return records
  }

  const add = (records: Map<string, Fields>, fields: Fields) => {
    const recordId = `rec${++lastRecord}`
    records.set(recordId, fields)
    return { record_id: recordId, fields }
  }

  const search = (records: Map<string, Fields>, body: string): StubReply => {
    const { filter } = JSON.parse(body) as { filter: { conditions: { field_name: string; value: string[] }[] } }
    const matches = ([, fields]: [string, Fields]) => filter.conditions.every(({ field_name, value }) => fields[field_name] === value[0])
    const items = [...records].filter(matches).map(([record_id, fields]) => ({
      record_id,
      // Text columns come back as lists of parts.
      fields: Object.fromEntries(
        Object.entries(fields).map(([name, value]) => [name, typeof value === 'string' ? [{ type: 'text', text: value }] : value]),
      ),
    }))
    return ok({ items, total: items.length, has_more: false })
  }

  const write = (records: Map<string, Fields>, { method, body, query }: StubRequest, rest: string | undefined): StubReply => {
    const given = body === '' ? {} : (JSON.parse(body) as { fields?: Fields; records?: { record_id?: string; fields: Fields }[] })
    const creates = method === 'POST' && (rest === undefined || rest === 'batch_create')
    const clientToken = query.get('client_token')
    if (creates && clientToken !== null) {
      if (!uuidV4.test(clientToken)) return no(1254037)
      const earlier = remembered.get(clientToken)
      if (earlier) return earlier
    }
    const reply = ((): StubReply => {
      if (creates && rest === undefined) return ok({ record: add(records, given.fields as Fields) })
      if ((given.records?.length ?? 0) > 1000) return no(1254104)
      if (creates) return ok({ records: (given.records ?? []).map(({ fields }) => add(records, fields)) })
      if (rest === 'batch_update') {
        if (given.records?.some(({ record_id }) => !records.has(record_id as string))) return no(1254043)
        for (const { record_id, fields } of given.records ?? [])
          records.set(record_id as string, { ...records.get(record_id as string), ...fields })
        return ok({ records: given.records })
      }
      const fields = records.get(rest as string)
      if (!fields) return no(1254043)
      if (method === 'DELETE') {
        records.delete(rest as string)
        return ok({ deleted: true, record_id: rest })
      }
      records.set(rest as string, { ...fields, ...given.fields })
      return ok({ record: { record_id: rest, fields: records.get(rest as string) } })
    })()
    if (creates && clientToken !== null) remembered.set(clientToken, reply)
    return reply
  }

  const work = async (request: StubRequest): Promise<StubReply> => {
    if (request.path === tokenPath) return issueToken(request)
    if (!tokens.has((request.headers.authorization ?? '').replace('Bearer ', ''))) return no(99991663, 400)
    const [, app, table, rest] = recordsRoute.exec(request.path) ?? []
    if (app === undefined || table === undefined) return { status: 404, body: '404 page not found' }
    const records = tableOf(app, table)
    if (rest === 'search') return search(records, request.body)
    const name = `${app}/${table}`
    if (writing.has(name)) {
      stub.conflicts++
      return no(1254291)
    }
    writing.add(name)
    try {
      await gate
      return write(records, request, rest)
    } finally {
      writing.delete(name)
    }
  }

  const server = await startStubServer(t, { work, isScripted: ({ path }) => path !== tokenPath })
  return {
    ...server,
    appId,
    appSecret,
    stub,
    records: tableOf,
    /** All tokens issued so far are refused from now on. */
    endTokens: () => tokens.clear(),
    /** Holds writes back until the returned function is called. */
    holdWrites: (): (() => void) => {
      let open = () => {}
      gate = new Promise((resolve) => {
        open = resolve
      })
      return () => {
        gate = undefined
        open()
      }
    },
    isWriting: (app: string, table: string): boolean => writing.has(`${app}/${table}`),
  }
}
