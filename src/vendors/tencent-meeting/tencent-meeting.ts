// Creates, changes and reads meetings at Tencent Meeting for job types.

import { randomBytes } from 'node:crypto'
import type { CallQuota } from '../call-quota.js'
import { openVendorHttp, type VendorReply } from '../http.js'
import { toObject, toText } from '../json.js'
import { withJitter } from '../outcome.js'
import { type TencentErrorClass, type TencentFailure, type TencentOutcome, toFailure } from './job-errors.js'
import { signTencentRequest } from './request-signature.js'
import { type TencentAnswer, type TencentMeetingData, type TencentMeetingFacts, toCreator, toFacts, toMeetings, toWire } from './wire.js'

export interface TencentMeetingSettings {
  /** `https://api.meeting.qq.com`. */
  readonly baseUrl: string
  readonly secretId: string
  readonly secretKey: string
  readonly appId: string
  readonly sdkId?: string | undefined
  /** Who acts when a job names nobody. */
  readonly userId?: string | undefined
  /** The kind of device that calls are made for; 1 is a PC. */
  readonly instanceId: number
  /** One call, connect included. */
  readonly timeoutMs: number
}

/** Where the token lies that Tencent Meeting sends by the event `common.sts-token`; null when there is no valid one. */
export interface StsTokens {
  read(): Promise<string | null>
}

/** On whose behalf a call is made. */
export interface TencentCaller {
  readonly userId: string
  readonly instanceId?: number | undefined
}

const connectTimeoutMs = 5000
/** The vendor counts by the minute. */
const minuteMs = 60_000
/** The list holds at most 20 meetings a page and only those not over; more pages than this are nobody's calendar. */
const listPagesMax = 50

/** Codes in `error_info`. The HTTP status says nothing: permanent errors come as 500. What is not listed is tried again. */
const rows: readonly (TencentErrorClass & { readonly of: readonly number[] })[] = [
  { of: [190310, 190313], kind: 'wait', code: 'tencent.rate_limited' },
  { of: [9061, 500046, 41, 5108, 960000, 13000], kind: 'unavailable', code: 'tencent.unavailable' },
  { of: [190300, 190301], kind: 'unavailable', code: 'tencent.signature_refused' },
  { of: [190311, 500168, 9008, 500029], kind: 'refused', code: 'tencent.quota_exhausted' },
  { of: [9003], kind: 'refused', code: 'tencent.meeting_not_found' },
  {
    of: [190004, 190303, 200003, 500125, 9042, 9099, 9100, 9101, 9102, 500014, 9093, 13602, 13603, 190001],
    kind: 'refused',
    code: 'tencent.refused',
  },
]
const vendorErrors = new Map(rows.flatMap(({ of, kind, code }) => of.map((vendorCode) => [vendorCode, { kind, code }])))
/** Clock or nonce: another signature may be accepted. */
const resignable = new Set([190300, 190301])
const goneAlready = new Set([9007, 9003])

/**
 * Opens the client; nothing is called yet. `quota` counts every call across all workers.
 * Transcripts and details of recordings may need an STS token: `stsTokens` is asked for one.
 */
export const openTencentMeeting = ({
  settings,
  quota,
  stsTokens,
  now = Date.now,
}: {
  settings: TencentMeetingSettings
  quota: CallQuota
  stsTokens: StsTokens
  now?: () => number
}) => {
  const http = openVendorHttp({ baseUrl: settings.baseUrl, connectTimeoutMs, timeoutMs: settings.timeoutMs })

  const toHeaders = (method: string, uri: string, body: string, stsToken: string | undefined): Record<string, string> => {
    // 63 random bits: positive for readers that keep signed numbers.
    const nonce = (randomBytes(8).readBigUInt64BE() >> 1n).toString()
    const timestamp = String(Math.floor(now() / 1000))
    return {
      'Content-Type': 'application/json',
      'X-TC-Key': settings.secretId,
      'X-TC-Timestamp': timestamp,
      'X-TC-Nonce': nonce,
      'X-TC-Signature': signTencentRequest({ method, uri, body, secretId: settings.secretId, nonce, timestamp }, settings.secretKey),
      AppId: settings.appId,
      ...(settings.sdkId ? { SdkId: settings.sdkId } : {}),
      'X-TC-Registered': '1',
      ...(stsToken ? { 'STS-Token': stsToken } : {}),
    }
  }

  /** One call, signed again once if the vendor refused time or nonce. `creates`: repeating it would double something. */
  const call = async (
    { method, path, query = {}, body, creates = false, stsToken }: TencentRequest,
    signal: AbortSignal,
  ): Promise<TencentReply> => {
    const uri = toUri(path, query)
    const text = body === undefined ? '' : JSON.stringify(body)
    for (let isResigned = false; ; isResigned = true) {
      const waitMs = await quota.take()
      if (waitMs > 0) return toFailure({ kind: 'wait', code: 'tencent.rate_limited' }, undefined, withJitter(waitMs))
      const headers = toHeaders(method, uri, text, stsToken)
      const reply = await http.call({ method, path: uri, headers, body: text === '' ? undefined : text, signal })
      const vendorCode = toVendorCode(reply)
      if (resignable.has(vendorCode ?? 0) && !isResigned) continue
      if (reply.kind === 'answered' && vendorCode === undefined && reply.status < 300 && reply.json !== undefined) {
        return { kind: 'done', value: toObject(reply.json) }
      }
      return { ...toTencentFailure(reply, vendorCode, creates, now()), vendorCode }
    }
  }

  const callerQuery = ({ userId, instanceId = settings.instanceId }: TencentCaller) => ({ userid: userId, instanceid: instanceId })

  /** For calls that apps created since 2026-01-16 may make only with an STS token. */
  const callWithSts = async (request: TencentRequest, signal: AbortSignal): Promise<TencentOutcome<TencentAnswer>> => {
    const stsToken = (await stsTokens.read()) ?? undefined
    const reply = await call({ ...request, stsToken }, signal)
    if (reply.kind !== 'refused' || stsToken !== undefined) return reply
    return toFailure({ kind: 'refused', code: 'tencent.sts_token_missing' }, reply.vendorCode)
  }

  const list = async (caller: TencentCaller, signal: AbortSignal): Promise<TencentOutcome<TencentAnswer[]>> => {
    // Pages may overlap: several meetings start at the same time.
    const meetings = new Map<string, TencentAnswer>()
    let position: Readonly<Record<string, string>> = {}
    for (let page = 0; page < listPagesMax; page++) {
      const reply = await call({ method: 'GET', path: '/v1/meetings', query: { ...callerQuery(caller), ...position } }, signal)
      if (reply.kind !== 'done') return reply
      for (const meeting of toMeetings(reply.value)) meetings.set(toText(meeting['meeting_id']) ?? '', meeting)
      const { remaining, next_pos, next_cursory } = reply.value
      if (!Number(remaining)) return { kind: 'done', value: [...meetings.values()] }
      position = { pos: toText(next_pos) ?? '0', cursory: toText(next_cursory) ?? '0' }
    }
    return toFailure({ kind: 'unavailable', code: 'tencent.unavailable' }, 'TOO_MANY_PAGES')
  }

  return {
    /** Who acts when a job names nobody. */
    userId: settings.userId,

    /** Books a meeting. The vendor cannot tell a repeated call: after `unconfirmed`, ask `findCreated` first. */
    async create(meeting: TencentMeetingData, caller: TencentCaller, signal: AbortSignal): Promise<TencentOutcome<TencentMeetingFacts>> {
      const body = { ...callerQuery(caller), ...toWire(meeting), type: meeting.type ?? 0 }
      const reply = await call({ method: 'POST', path: '/v1/meetings', body, creates: true }, signal)
      if (reply.kind !== 'done') return reply
      const [created] = toMeetings(reply.value)
      return created?.['meeting_id'] === undefined
        ? toFailure({ kind: 'unconfirmed', code: 'tencent.outcome_unknown' })
        : { kind: 'done', value: toFacts(created) }
    },

    /**
     * Meetings of the caller that equal the one an earlier `create` asked for: subject, start, end and, where the list
     * tells it, creator. One: that is it. None: it was not created. Several: nobody can tell.
     */
    async findCreated(
      meeting: TencentMeetingData,
      caller: TencentCaller,
      signal: AbortSignal,
    ): Promise<TencentOutcome<TencentMeetingFacts[]>> {
      const listed = await list(caller, signal)
      if (listed.kind !== 'done') return listed
      const wanted = toWire(meeting)
      const isEqual = (found: TencentAnswer): boolean =>
        found['subject'] === wanted['subject'] &&
        toText(found['start_time']) === wanted['start_time'] &&
        toText(found['end_time']) === wanted['end_time'] &&
        [undefined, caller.userId].includes(toCreator(found))
      return { kind: 'done', value: listed.value.filter(isEqual).map(toFacts) }
    },

    /** Sets what `meeting` names; safe to repeat. */
    async update(
      id: string,
      meeting: TencentMeetingData,
      caller: TencentCaller,
      signal: AbortSignal,
    ): Promise<TencentOutcome<TencentMeetingFacts>> {
      const body = { ...callerQuery(caller), ...toWire(meeting) }
      const reply = await call({ method: 'PUT', path: `/v1/meetings/${encodeURIComponent(id)}`, body }, signal)
      if (reply.kind !== 'done') return reply
      return { kind: 'done', value: { ...toFacts(toMeetings(reply.value)[0] ?? {}), tencentMeetingId: id } }
    },

    /** Cancels a meeting, or one of a series; one that is gone already counts as cancelled. */
    async cancel(
      id: string,
      reason: { reasonCode?: number | undefined; reasonDetail?: string | undefined; subMeetingId?: string | undefined },
      caller: TencentCaller,
      signal: AbortSignal,
    ): Promise<TencentOutcome<null>> {
      const body = {
        ...callerQuery(caller),
        reason_code: reason.reasonCode ?? 1,
        reason_detail: reason.reasonDetail,
        sub_meeting_id: reason.subMeetingId,
      }
      const reply = await call({ method: 'POST', path: `/v1/meetings/${encodeURIComponent(id)}/cancel`, body }, signal)
      if (reply.kind === 'done' || goneAlready.has(reply.vendorCode ?? 0)) return { kind: 'done', value: null }
      return reply
    },

    /** Reads one meeting. */
    async fetch(id: string, caller: TencentCaller, signal: AbortSignal): Promise<TencentOutcome<TencentMeetingFacts>> {
      const reply = await call({ method: 'GET', path: `/v1/meetings/${encodeURIComponent(id)}`, query: callerQuery(caller) }, signal)
      if (reply.kind !== 'done') return reply
      const [meeting] = toMeetings(reply.value)
      return meeting ? { kind: 'done', value: toFacts(meeting) } : toFailure({ kind: 'refused', code: 'tencent.meeting_not_found' })
    },

    /** One page, of at most 100, of those who took part. */
    participants: (id: string, { userId, pos, size }: { userId: string; pos: number; size: number }, signal: AbortSignal) =>
      call({ method: 'GET', path: `/v1/meetings/${encodeURIComponent(id)}/participants`, query: { userid: userId, pos, size } }, signal),

    /** Fresh addresses of a recording; they live for minutes. */
    recordingAddresses: (recordFileId: string, userId: string, signal: AbortSignal) =>
      callWithSts({ method: 'GET', path: `/v1/addresses/${encodeURIComponent(recordFileId)}`, query: { userid: userId } }, signal),

    /** Transcript of a recording: paragraphs of sentences of words. */
    transcript: (recordFileId: string, userId: string, signal: AbortSignal) =>
      callWithSts(
        {
          method: 'GET',
          path: '/v1/records/transcripts/details',
          query: { record_file_id: recordFileId, operator_id: userId, operator_id_type: 1 },
        },
        signal,
      ),

    /** The vendor's own summary of a recording. */
    fullSummary: (recordFileId: string, userId: string, signal: AbortSignal) =>
      callWithSts(
        { method: 'GET', path: '/v1/smart/fullsummary', query: { record_file_id: recordFileId, operator_id: userId, operator_id_type: 1 } },
        signal,
      ),

    /** The vendor's own minutes of a recording. */
    minutes: (recordFileId: string, userId: string, signal: AbortSignal) =>
      callWithSts(
        {
          method: 'GET',
          path: `/v1/smart/minutes/${encodeURIComponent(recordFileId)}`,
          query: { operator_id: userId, operator_id_type: 1 },
        },
        signal,
      ),

    /** The vendor's own topics of a recording. */
    topics: (recordFileId: string, userId: string, signal: AbortSignal) =>
      callWithSts(
        {
          method: 'GET',
          path: `/v1/recording/${encodeURIComponent(recordFileId)}/topics`,
          query: { operator_id: userId, operator_id_type: 1 },
        },
        signal,
      ),

    close: http.close,
  }
}

export type TencentMeeting = ReturnType<typeof openTencentMeeting>

interface TencentRequest {
  readonly method: 'GET' | 'POST' | 'PUT'
  readonly path: string
  readonly query?: Readonly<Record<string, string | number>>
  readonly body?: unknown
  readonly creates?: boolean
  readonly stsToken?: string | undefined
}

/** Failures keep the vendor's own code: some calls read success from it. */
type TencentReply =
  | { readonly kind: 'done'; readonly value: TencentAnswer }
  | (TencentFailure & { readonly vendorCode?: number | undefined })

const toUri = (path: string, query: Readonly<Record<string, string | number>>): string => {
  const pairs = Object.entries(query).map(([name, value]) => `${name}=${encodeURIComponent(value)}`)
  return pairs.length === 0 ? path : `${path}?${pairs.join('&')}`
}

/** The newer code wins where the table knows it. */
const toVendorCode = (reply: VendorReply): number | undefined => {
  const info = toObject(toObject(reply.kind === 'answered' ? reply.json : undefined)['error_info'])
  const codes = [info['new_error_code'], info['error_code']].map(Number).filter((code) => Number.isInteger(code) && code !== 0)
  return codes.find((code) => vendorErrors.has(code) || goneAlready.has(code)) ?? codes[0]
}

const toTencentFailure = (reply: VendorReply, vendorCode: number | undefined, creates: boolean, now: number): TencentFailure => {
  if (reply.kind === 'not-sent') return toFailure({ kind: 'unavailable', code: 'tencent.unavailable' })
  const known = vendorErrors.get(vendorCode ?? 0) ?? { kind: 'unavailable', code: 'tencent.unavailable' }
  // A create that broke off, or that failed without a plain no, may have happened.
  const isOpen = creates && (known.code === 'tencent.unavailable' || reply.kind === 'broken')
  const failure = isOpen ? ({ kind: 'unconfirmed', code: 'tencent.outcome_unknown' } as const) : known
  const status = reply.kind === 'answered' ? `HTTP_${reply.status}` : undefined
  return toFailure(failure, vendorCode ?? status, withJitter(minuteMs - (now % minuteMs)))
}
