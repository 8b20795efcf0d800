// Sends text messages from approved templates through Aliyun for job types, and finds out about those in doubt.

import { createHmac, randomUUID } from 'node:crypto'
import type { RedisClient } from '../../redis/connect.js'
import type { Keys } from '../../redis/redis-keys.js'
import { openVendorHttp, type VendorReply } from '../http.js'
import { toObject, toText } from '../json.js'
import { withJitter } from '../outcome.js'
import { sha256Hex, signAcs3, toForm } from './acs3-signature.js'
import { type SmsErrorClass, type SmsFailure, toFailure } from './job-errors.js'
import { createNumberLimiter, type NumberLimit } from './number-limiter.js'
import { createSmsKeys } from './redis-keys.js'

export interface AliyunSmsSettings {
  /** `https://dysmsapi.aliyuncs.com`. */
  readonly endpoint: string
  readonly accessKeyId: string
  readonly accessKeySecret: string
  /** Used when a job names none. */
  readonly signName?: string | undefined
  /** Templates that jobs may use. */
  readonly templates: readonly string[]
  /** One call, connect included. */
  readonly timeoutMs: number
  /** Our own limits per phone number, so that Aliyun need not apply its. */
  readonly perNumberLimits: readonly NumberLimit[]
  /** How long failed jobs are kept: a late manual retry still finds the day to look up. */
  readonly rememberMs: number
}

export interface TextMessage {
  /** One number, with or without `+`. */
  readonly phoneNumber: string
  readonly templateCode: string
  readonly templateParams?: Readonly<Record<string, string>> | undefined
  readonly signName?: string | undefined
  /** A one-time code that waits is worth nothing: its job fails where a notification waits. */
  readonly purpose: 'otp' | 'notification'
}

/** `reference` is the job's id: it travels as OutId, and Aliyun's records are searched for it. */
export interface SmsCall {
  readonly reference: string
  readonly signal: AbortSignal
}

/** The kind `not-configured` names the variable that the message would need. */
export type SmsOutcome =
  | { readonly kind: 'accepted'; readonly bizId: string | null; readonly vendorRequestId: string | null }
  | { readonly kind: 'not-configured'; readonly variable: string }
  | SmsFailure

/** What Aliyun's records say about a message in doubt. */
export type SmsFinding =
  | { readonly kind: 'sent' }
  /** Not there, and there was time enough for it to appear. */
  | { readonly kind: 'absent' }
  /** Not there yet. */
  | { readonly kind: 'not-yet'; readonly afterMs: number }
  /** The records cannot be read now. */
  | SmsFailure

const version = '2017-05-25'
const connectTimeoutMs = 3000
/** A message that is not in the records this long after it was handed over was not taken. */
export const settleMs = 30_000
const pageSize = 50
/** One number cannot have had more messages a day than this many pages hold. */
const pagesMax = 20
const rateLimitWaitMs = 2000
/** Around midnight the day of the records may differ from ours by clock skew. */
const midnightMarginMs = 5 * 60_000
const chinaOffsetMs = 8 * 3_600_000

/** Aliyun's codes; most arrive with HTTP 200. A name that ends in `*` stands for all that begin so. */
const rows: readonly (SmsErrorClass & { readonly of: readonly string[] })[] = [
  {
    of: ['isp.SYSTEM_ERROR', 'isp.GATEWAY_ERROR', 'ServiceUnavailable', 'InternalError'],
    kind: 'unconfirmed',
    code: 'sms.outcome_unknown',
  },
  { of: ['Throttling*'], kind: 'wait', code: 'sms.rate_limited' },
  { of: ['isv.BUSINESS_LIMIT_CONTROL'], kind: 'wait', code: 'sms.number_limited' },
  { of: ['isv.DAY_LIMIT_CONTROL', 'isv.MONTH_LIMIT_CONTROL'], kind: 'refused', code: 'sms.quota_exhausted' },
  { of: ['isv.MOBILE_NUMBER_ILLEGAL', 'isv.MOBILE_COUNT_OVER_LIMIT'], kind: 'refused', code: 'sms.number_refused' },
  {
    of: [
      'isv.SMS_TEMPLATE_ILLEGAL',
      'isv.TEMPLATE_MISSING_PARAMETERS',
      'isv.INVALID_PARAMETERS',
      'isv.INVALID_JSON_PARAM',
      'isv.BLACK_KEY_CONTROL_LIMIT',
      'isv.PARAM_*',
    ],
    kind: 'refused',
    code: 'sms.template_refused',
  },
  { of: ['isv.SMS_SIGNATURE_ILLEGAL'], kind: 'refused', code: 'sms.signature_refused' },
  { of: ['isv.AMOUNT_NOT_ENOUGH', 'isv.OUT_OF_SERVICE', 'isv.ACCOUNT_*'], kind: 'refused', code: 'sms.account_refused' },
  { of: ['isp.RAM_PERMISSION_DENY', 'InvalidAccessKeyId.*', 'SignatureDoesNotMatch'], kind: 'refused', code: 'sms.authentication_failed' },
  // Aliyun names what it found wrong before it sent anything.
  { of: ['isv.*'], kind: 'refused', code: 'sms.refused' },
]

const findClass = (vendorCode: string): SmsErrorClass | undefined =>
  rows.find(({ of }) => of.some((name) => (name.endsWith('*') ? vendorCode.startsWith(name.slice(0, -1)) : vendorCode === name)))

/** Opens the client; nothing is called yet. */
export const openAliyunSms = ({
  settings,
  redis,
  keys,
  now = Date.now,
}: {
  settings: AliyunSmsSettings
  redis: RedisClient
  keys: Keys
  now?: () => number
}) => {
  const http = openVendorHttp({ baseUrl: settings.endpoint, connectTimeoutMs, timeoutMs: settings.timeoutMs })
  const smsKeys = createSmsKeys(keys)
  const limiter = createNumberLimiter({ redis, keys, limits: settings.perNumberLimits })

  /** A form body, never a query: addresses end up in logs. */
  const call = (action: string, parameters: Readonly<Record<string, string>>, signal: AbortSignal): Promise<VendorReply> => {
    const body = toForm(parameters)
    const headers = {
      host: http.host,
      'content-type': 'application/x-www-form-urlencoded',
      'x-acs-action': action,
      'x-acs-version': version,
      'x-acs-date': `${new Date(now()).toISOString().slice(0, 19)}Z`,
      'x-acs-signature-nonce': randomUUID(),
      'x-acs-content-sha256': sha256Hex(body),
    }
    const authorization = signAcs3(
      { method: 'POST', path: '/', query: {}, headers, body, accessKeyId: settings.accessKeyId },
      settings.accessKeySecret,
    )
    return http.call({ method: 'POST', path: '/', headers: { ...headers, accept: 'application/json', authorization }, body, signal })
  }

  /** Keyed, since the few digits of a phone number are quickly tried out against a plain digest. */
  const toDigest = (phoneNumber: string): string =>
    createHmac('sha256', settings.accessKeySecret).update(toOwnForm(phoneNumber)).digest('hex')

  /** All records of a number on one day that carry the reference, page by page. */
  const isRecorded = async (
    phoneNumber: string,
    day: string,
    { reference, signal }: SmsCall,
  ): Promise<{ readonly kind: 'done'; readonly value: boolean } | SmsFailure> => {
    for (let page = 1; page <= pagesMax; page++) {
      const parameters = { PhoneNumber: toOwnForm(phoneNumber), SendDate: day, PageSize: String(pageSize), CurrentPage: String(page) }
      const reply = await call('QuerySendDetails', parameters, signal)
      const answer = toObject(reply.kind === 'answered' ? reply.json : undefined)
      if (answer['Code'] !== 'OK') return toQueryFailure(reply)
      const list = toObject(answer['SmsSendDetailDTOs'])['SmsSendDetailDTO']
      const records = Array.isArray(list) ? list.map(toObject) : []
      if (records.some(({ OutId }) => OutId === reference)) return { kind: 'done', value: true }
      if (page * pageSize >= Number(answer['TotalCount'] ?? 0)) return { kind: 'done', value: false }
    }
    return toFailure({ kind: 'unavailable', code: 'sms.outcome_unknown' }, 'TOO_MANY_PAGES')
  }

  return {
    /**
     * Hands over one message. `begin` is called right before the request goes out.
     * After `unconfirmed` ask `reconcile` first: Aliyun sends a repeated request again.
     */
    async send(message: TextMessage, call_: SmsCall & { begin(): Promise<void> }): Promise<SmsOutcome> {
      const signName = message.signName ?? settings.signName
      if (signName === undefined) return { kind: 'not-configured', variable: 'ALIYUN_SMS_SIGN_NAME' }
      if (!settings.templates.includes(message.templateCode)) return toFailure({ kind: 'refused', code: 'sms.template_not_allowed' })
      const { reference, signal } = call_
      const digest = toDigest(message.phoneNumber)
      const waitMs = await limiter.take(digest, reference)
      if (waitMs > 0) return forPurpose(toFailure({ kind: 'wait', code: 'sms.number_limited' }, undefined, waitMs), message.purpose)
      await redis.set(smsKeys.handedOver(reference), String(now()), 'PX', settings.rememberMs)
      await call_.begin()
      const reply = await call(
        'SendSms',
        {
          PhoneNumbers: toVendorForm(message.phoneNumber),
          SignName: signName,
          TemplateCode: message.templateCode,
          ...(message.templateParams ? { TemplateParam: JSON.stringify(message.templateParams) } : {}),
          OutId: reference,
        },
        signal,
      )
      const answer = toObject(reply.kind === 'answered' ? reply.json : undefined)
      if (answer['Code'] === 'OK') {
        return { kind: 'accepted', bizId: toText(answer['BizId']) ?? null, vendorRequestId: toText(answer['RequestId']) ?? null }
      }
      const failure = toSendFailure(reply)
      if (failure.kind !== 'unconfirmed') await limiter.giveBack(digest, reference)
      return forPurpose(failure, message.purpose)
    },

    /** Looks a message in doubt up in Aliyun's records of the day it was handed over. */
    async reconcile(message: Pick<TextMessage, 'phoneNumber'>, call_: SmsCall): Promise<SmsFinding> {
      const handedOver = smsKeys.handedOver(call_.reference)
      // Unknown only if Redis lost it: then the waiting starts now.
      await redis.set(handedOver, String(now()), 'PX', settings.rememberMs, 'NX')
      const at = Number(await redis.get(handedOver))
      const askedAt = now()
      const days = new Set([at - midnightMarginMs, at + midnightMarginMs].map(toChinaDay))
      for (const day of days) {
        const found = await isRecorded(message.phoneNumber, day, call_)
        if (found.kind !== 'done') return found
        if (found.value) return { kind: 'sent' }
      }
      const leftMs = at + settleMs - askedAt
      return leftMs > 0 ? { kind: 'not-yet', afterMs: leftMs } : { kind: 'absent' }
    },

    close: http.close,
  }
}

export type AliyunSms = ReturnType<typeof openAliyunSms>

const toVendorForm = (phoneNumber: string): string => phoneNumber.replace('+', '')

/** Mainland numbers come with and without 86: both are one number to us, and the records know only the eleven digits. */
const toOwnForm = (phoneNumber: string): string => toVendorForm(phoneNumber).replace(/^86(?=1\d{10}$)/, '')

const toChinaDay = (time: number): string => new Date(time + chinaOffsetMs).toISOString().slice(0, 10).replaceAll('-', '')

/** Anything that is not a known answer may have been sent. */
const toSendFailure = (reply: VendorReply): SmsFailure => {
  if (reply.kind === 'not-sent') return toFailure({ kind: 'unavailable', code: 'sms.unavailable' })
  const { vendorCode, found } = classify(reply)
  return toFailure(found ?? (isNamedRefusal(reply) ? refusedUnnamed : unconfirmed), vendorCode, toWaitMs(reply))
}

const unconfirmed: SmsErrorClass = { kind: 'unconfirmed', code: 'sms.outcome_unknown' }
const refusedUnnamed: SmsErrorClass = { kind: 'refused', code: 'sms.refused' }

/** A 4xx with a code, whatever it is, was refused before anything was sent. */
const isNamedRefusal = (reply: VendorReply): boolean =>
  reply.kind === 'answered' && reply.status >= 400 && reply.status < 500 && toText(toObject(reply.json)['Code']) !== undefined

/** A query that fails tells nothing about the message; it may only be repeated. */
const toQueryFailure = (reply: VendorReply): SmsFailure => {
  const { vendorCode, found } = classify(reply)
  return found?.code === 'sms.rate_limited'
    ? toFailure(found, vendorCode, toWaitMs(reply))
    : toFailure({ kind: 'unavailable', code: 'sms.outcome_unknown' }, vendorCode)
}

const classify = (reply: VendorReply): { vendorCode: string | undefined; found: SmsErrorClass | undefined } => {
  if (reply.kind !== 'answered') return { vendorCode: undefined, found: undefined }
  const code = toText(toObject(reply.json)['Code'])
  return { vendorCode: code ?? `HTTP_${reply.status}`, found: code === undefined ? undefined : findClass(code) }
}

/** The limit of a number says by its message alone, in Chinese, whether minute, hour or day is used up. */
const toWaitMs = (reply: VendorReply): number => {
  const { Code, Message } = toObject(reply.kind === 'answered' ? reply.json : undefined)
  if (Code !== 'isv.BUSINESS_LIMIT_CONTROL') return withJitter(rateLimitWaitMs)
  const text = String(Message)
  return text.includes('天') ? 24 * 3_600_000 : text.includes('小时') ? 3_600_000 : 60_000
}

const forPurpose = (failure: SmsFailure, purpose: TextMessage['purpose']): SmsFailure =>
  failure.kind === 'wait' && failure.code === 'sms.number_limited' && purpose === 'otp'
    ? { kind: 'refused', code: failure.code, message: failure.message }
    : failure
