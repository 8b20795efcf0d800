// Writes records to Lark (Feishu) Bitable tables for job types, one writer a table at a time.

import { createHash } from 'node:crypto'
import type { RedisClient } from '../../redis/connect.js'
import type { Lock } from '../../redis/lock.js'
import type { Keys } from '../../redis/redis-keys.js'
import { openVendorHttp, type VendorReply } from '../http.js'
import { toObject, toText } from '../json.js'
import { withJitter } from '../outcome.js'
import { type LarkErrorClass, type LarkFailure, type LarkOutcome, toFailure } from './job-errors.js'
import { createLarkTokens } from './tokens.js'

export interface LarkSettings {
  /** `https://open.feishu.cn` or `https://open.larksuite.com`. */
  readonly baseUrl: string
  readonly appId: string
  readonly appSecret: string
  /** One call, connect included. */
  readonly timeoutMs: number
  /** Where meetings are kept when a job names no table. */
  readonly meetings: { readonly appToken?: string | undefined; readonly tableId?: string | undefined; readonly keyField: string }
}

export type LarkFields = Readonly<Record<string, unknown>>
export interface LarkTable {
  readonly appToken: string
  readonly tableId: string
}
/** `reference` names the job: the same write under the same reference happens once. */
export interface LarkCall {
  readonly reference: string
  readonly signal: AbortSignal
}

/** Lark refuses more records than this in one request. */
const recordsPerCallMax = 1000
const connectTimeoutMs = 5000
/** Lark names no time for these: the first is a limit a second, the second an attempt under way. */
const rateLimitWaitMs = 1000
const pendingWaitMs = 3000
const busyWaitMs = 700
const waitMaxMs = 3_600_000
const recordMemoryMs = 90 * 24 * 3_600_000

const from = (first: number, last: number): number[] => Array.from({ length: last - first + 1 }, (_, index) => first + index)

/** Lark's error codes, most of which arrive with HTTP 200. What is not listed is tried again. */
const rows: readonly (LarkErrorClass & { readonly of: readonly number[] })[] = [
  { of: [1254290, 99991400], kind: 'wait', code: 'lark.rate_limited' },
  { of: [1254608, 1255006], kind: 'wait', code: 'lark.write_pending' },
  { of: [1254291], kind: 'unavailable', code: 'lark.write_conflict' },
  { of: [1254607, 1254036, 1255001, 1255002, 1255005, 1255040, 1254002], kind: 'unavailable', code: 'lark.unavailable' },
  { of: [1254000, 1254001, 1254037], kind: 'refused', code: 'lark.invalid_request' },
  { of: [1254003, 1254004, 1254006, 1254040, 1254041, 1254043], kind: 'refused', code: 'lark.not_found' },
  { of: [1254044, 1254045], kind: 'refused', code: 'lark.field_unknown' },
  { of: [1254015, ...from(1254060, 1254074), 1254130], kind: 'refused', code: 'lark.field_invalid' },
  { of: [1254103, 1254104], kind: 'refused', code: 'lark.limit_exceeded' },
  { of: [1254302, 1254304, 1254306], kind: 'refused', code: 'lark.permission_denied' },
]
const vendorErrors = new Map(rows.flatMap(({ of, kind, code }) => of.map((vendorCode) => [vendorCode, { kind, code }])))
const recordNotFound = 1254043
const tokenRefused = new Set([99991663, 99991661, 99991668])

/**
 * A stable UUIDv4-shaped token: Lark answers a repeated create under the same token with the first record.
 * Any other shape is refused with 1254037.
 */
export const toClientToken = (reference: string, action: string, chunk: number): string => {
  const bytes = createHash('sha256').update(`${reference}|${action}|${chunk}`).digest().subarray(0, 16)
  bytes[6] = ((bytes[6] as number) & 0x0f) | 0x40
  bytes[8] = ((bytes[8] as number) & 0x3f) | 0x80
  const hex = bytes.toString('hex')
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-')
}

/** Redis key of the id of the record that one meeting was written to; `digest` of table and meeting. */
export const larkRecordKey = (keys: Keys, digest: string): string => keys.of('lark-record', digest)

/** Opens the client; nothing is called yet. `close` breaks off what is under way. */
export const openLark = ({ settings, redis, keys, lock }: { settings: LarkSettings; redis: RedisClient; keys: Keys; lock: Lock }) => {
  const http = openVendorHttp({ baseUrl: settings.baseUrl, connectTimeoutMs, timeoutMs: settings.timeoutMs })
  const tokens = createLarkTokens({
    http,
    settings,
    toFailure: (reply) => toLarkFailure(reply, false),
    isKnown: (vendorCode) => vendorErrors.has(vendorCode),
  })

  /** One call with a valid token. A token that Lark no longer knows is replaced once. */
  const call = async (
    { method, path, body, creates = false }: { method: 'POST' | 'PUT' | 'DELETE'; path: string; body?: unknown; creates?: boolean },
    signal: AbortSignal,
  ): Promise<LarkReply> => {
    let token = await tokens.get()
    for (let isFresh = false; ; isFresh = true) {
      if (token.kind !== 'done') return token
      const headers = { authorization: `Bearer ${token.value}`, 'content-type': 'application/json; charset=utf-8' }
      const text = body === undefined ? undefined : JSON.stringify(body)
      const reply = await http.call({ method, path, headers, body: text, signal })
      const { code, data } = toObject(reply.kind === 'answered' ? reply.json : undefined)
      if (code === 0) return { kind: 'done', value: toObject(data) }
      if (!tokenRefused.has(Number(code))) return { ...toLarkFailure(reply, creates), vendorCode: Number(code) }
      if (isFresh) return toFailure({ kind: 'refused', code: 'lark.authentication_failed' }, Number(code))
      tokens.drop(token.value)
      token = await tokens.get()
    }
  }

  /** Runs writes to one table alone among all workers. `calls` bounds how long the lock may be needed. */
  const alone = async <T>(
    { appToken, tableId }: LarkTable,
    calls: number,
    write: () => Promise<LarkOutcome<T>>,
  ): Promise<LarkOutcome<T>> => {
    // A call may be made twice, with two tokens to be fetched.
    const held = await lock(`lark:${appToken}:${tableId}`, calls * 4 * settings.timeoutMs)
    if (!held) return toFailure({ kind: 'wait', code: 'lark.table_busy' }, undefined, withJitter(busyWaitMs))
    try {
      return await write()
    } finally {
      await held.release()
    }
  }

  const create = async (
    table: LarkTable,
    fields: LarkFields,
    action: string,
    { reference, signal }: LarkCall,
  ): Promise<LarkOutcome<string>> => {
    const path = `${recordsPath(table)}?client_token=${toClientToken(reference, action, 0)}`
    return toRecordId(await call({ method: 'POST', path, body: { fields }, creates: true }, signal))
  }

  const update = async (table: LarkTable, recordId: string, fields: LarkFields, { signal }: LarkCall): Promise<LarkReply> =>
    call({ method: 'PUT', path: `${recordsPath(table)}/${encodeURIComponent(recordId)}`, body: { fields } }, signal)

  /** The record whose `keyField` holds `keyValue`; null when there is none. */
  const find = async (
    table: LarkTable,
    { keyField, keyValue }: { keyField: string; keyValue: string },
    { signal }: Pick<LarkCall, 'signal'>,
  ): Promise<LarkOutcome<{ recordId: string; fields: LarkFields } | null>> => {
    const filter = { conjunction: 'and', conditions: [{ field_name: keyField, operator: 'is', value: [keyValue] }] }
    const reply = await call({ method: 'POST', path: `${recordsPath(table)}/search?page_size=2`, body: { filter } }, signal)
    if (reply.kind !== 'done') return reply
    const items = Array.isArray(reply.value['items']) ? reply.value['items'].map(toObject) : []
    if (items.length > 1) return toFailure({ kind: 'refused', code: 'lark.record_ambiguous' })
    const recordId = toText(items[0]?.['record_id'])
    return { kind: 'done', value: recordId === undefined ? null : { recordId, fields: toObject(items[0]?.['fields']) } }
  }

  /** Runs batches of at most 1,000 records in order; every batch has a token of its own, so all may be repeated. */
  const inBatches = async <T>(
    table: LarkTable,
    records: readonly T[],
    toRequest: (batch: readonly T[], chunk: number) => { path: string; body: unknown; creates: boolean },
    { signal }: LarkCall,
  ): Promise<LarkOutcome<string[]>> => {
    const recordIds: string[] = []
    for (let chunk = 0; chunk * recordsPerCallMax < records.length; chunk++) {
      const batch = records.slice(chunk * recordsPerCallMax, (chunk + 1) * recordsPerCallMax)
      const reply = await alone(table, 1, () => call({ method: 'POST', ...toRequest(batch, chunk) }, signal))
      if (reply.kind !== 'done') return reply
      const written = Array.isArray(reply.value['records']) ? reply.value['records'] : []
      recordIds.push(...written.map((record) => toText(toObject(record)['record_id']) ?? ''))
    }
    return { kind: 'done', value: recordIds }
  }

  const rememberedKey = (table: LarkTable, keyField: string, keyValue: string): string =>
    larkRecordKey(
      keys,
      createHash('sha256')
        .update(JSON.stringify([table.appToken, table.tableId, keyField, keyValue]))
        .digest('hex'),
    )

  return {
    meetings: settings.meetings,

    /** Creates one record, once per reference. Out: its id. */
    create: (table: LarkTable, fields: LarkFields, of: LarkCall) => alone(table, 1, () => create(table, fields, 'create', of)),

    /** Sets the given columns of one record. Out: its id. */
    update: (table: LarkTable, recordId: string, fields: LarkFields, of: LarkCall) =>
      alone(table, 1, async () => toRecordId(await update(table, recordId, fields, of))),

    /**
     * Deletes one record. `isRepeated`: a record that is already gone counts as deleted; `begin` is called right before the request
     * goes out. Out: its id.
     */
    delete: (
      table: LarkTable,
      recordId: string,
      { signal, isRepeated, begin }: LarkCall & { readonly isRepeated: boolean; begin(): Promise<void> },
    ) =>
      alone(table, 1, async (): Promise<LarkOutcome<string>> => {
        await begin()
        const reply = await call({ method: 'DELETE', path: `${recordsPath(table)}/${encodeURIComponent(recordId)}` }, signal)
        if (reply.kind === 'done') return { kind: 'done', value: recordId }
        return isRepeated && reply.vendorCode === recordNotFound ? { kind: 'done', value: recordId } : reply
      }),

    /** Creates records, in requests of at most 1,000, each once per reference. Out: their ids in input order. */
    batchCreate: (table: LarkTable, records: readonly { readonly fields: LarkFields }[], of: LarkCall) =>
      inBatches(
        table,
        records,
        (batch, chunk) => ({
          path: `${recordsPath(table)}/batch_create?client_token=${toClientToken(of.reference, 'batch-create', chunk)}`,
          body: { records: batch.map(({ fields }) => ({ fields })) },
          creates: true,
        }),
        of,
      ),

    /** Sets the given columns of records, in requests of at most 1,000. Out: their ids in input order. */
    batchUpdate: (table: LarkTable, records: readonly { readonly recordId: string; readonly fields: LarkFields }[], of: LarkCall) =>
      inBatches(
        table,
        records,
        (batch) => ({
          path: `${recordsPath(table)}/batch_update`,
          body: { records: batch.map(({ recordId, fields }) => ({ record_id: recordId, fields })) },
          creates: false,
        }),
        of,
      ),

    find,

    /**
     * Writes the one record whose `keyField` holds `keyValue`: the remembered one, else the one found, else a new one.
     * `fields` go without the key column, which a new record gets too.
     */
    upsert: (table: LarkTable, key: { keyField: string; keyValue: string }, fields: LarkFields, of: LarkCall) =>
      alone(table, 4, async (): Promise<LarkOutcome<{ recordId: string; status: 'created' | 'updated' | 'unchanged' }>> => {
        const memory = rememberedKey(table, key.keyField, key.keyValue)
        const known = await redis.get(memory)
        if (known !== null) {
          const reply = await update(table, known, fields, of)
          if (reply.kind === 'done') return { kind: 'done', value: { recordId: known, status: 'updated' } }
          if (reply.vendorCode !== recordNotFound) return reply
          // Somebody deleted the record in the table: look again.
          await redis.del(memory)
        }
        const found = await find(table, key, of)
        if (found.kind !== 'done') return found
        const written = found.value
          ? hasFields(found.value.fields, fields)
            ? ({ kind: 'done', value: found.value.recordId } as const)
            : toRecordId(await update(table, found.value.recordId, fields, of))
          : await create(table, { ...fields, [key.keyField]: key.keyValue }, 'upsert', of)
        if (written.kind !== 'done') return written
        await redis.set(memory, written.value, 'PX', recordMemoryMs)
        const status = !found.value ? 'created' : hasFields(found.value.fields, fields) ? 'unchanged' : 'updated'
        return { kind: 'done', value: { recordId: written.value, status } }
      }),

    close: http.close,
  }
}

export type Lark = ReturnType<typeof openLark>

/** Failures of the record routes keep Lark's own code: some calls read success from it. */
type LarkReply =
  | { readonly kind: 'done'; readonly value: Readonly<Record<string, unknown>> }
  | (LarkFailure & { readonly vendorCode?: number })

const recordsPath = ({ appToken, tableId }: LarkTable): string =>
  `/open-apis/bitable/v1/apps/${encodeURIComponent(appToken)}/tables/${encodeURIComponent(tableId)}/records`

const toRecordId = (reply: LarkReply): LarkOutcome<string> => {
  if (reply.kind !== 'done') return reply
  return { kind: 'done', value: toText(toObject(reply.value['record'])['record_id']) ?? '' }
}

const toLarkFailure = (reply: VendorReply, creates: boolean): LarkFailure => {
  if (reply.kind === 'not-sent') return toFailure({ kind: 'unavailable', code: 'lark.unavailable' })
  if (reply.kind === 'broken') {
    return toFailure(creates ? { kind: 'unconfirmed', code: 'lark.outcome_unknown' } : { kind: 'unavailable', code: 'lark.unavailable' })
  }
  const code = toObject(reply.json)['code']
  const vendorCode = typeof code === 'number' ? code : undefined
  const known = reply.status === 429 ? rateLimited : vendorErrors.get(vendorCode ?? 0)
  const found = known ?? { kind: 'unavailable', code: 'lark.unavailable' }
  return toFailure(
    found,
    vendorCode ?? `HTTP_${reply.status}`,
    found.code === 'lark.write_pending' ? withJitter(pendingWaitMs) : toWaitMs(reply.headers),
  )
}

const rateLimited: LarkErrorClass = { kind: 'wait', code: 'lark.rate_limited' }

const toWaitMs = (headers: Readonly<Record<string, string | string[] | undefined>>): number => {
  const seconds = Number(headers['x-ogw-ratelimit-reset'])
  return Number.isFinite(seconds) && seconds > 0 ? Math.min(seconds * 1000, waitMaxMs) : withJitter(rateLimitWaitMs)
}

const hasFields = (present: LarkFields, wanted: LarkFields): boolean =>
  Object.entries(wanted).every(([name, value]) => JSON.stringify(toPlain(present[name])) === JSON.stringify(toPlain(value)))

/** A text column comes back as a list of `{ type, text }`. */
const toPlain = (value: unknown): unknown =>
  Array.isArray(value) && value.length > 0 && value.every((part) => typeof toObject(part)['text'] === 'string')
    ? value.map((part) => toObject(part)['text']).join('')
    : (value ?? null)
