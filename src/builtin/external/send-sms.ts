// Job type: sends one text message from an approved template through Aliyun.

import { type Static, Type } from '@sinclair/typebox'
import { defer, done, fail, retry } from '../../types/definition.js'
import { closed, Line, Nullable, StringEnum, sensitive } from '../../types/schema-parts.js'
import type { AliyunSms, SmsOutcome, TextMessage } from '../../vendors/aliyun-sms/aliyun-sms.js'
import { settleMs } from '../../vendors/aliyun-sms/aliyun-sms.js'
import { toFailedAttempt } from '../../vendors/outcome.js'
import { type BuiltinContext, type BuiltinOutcome, defineBuiltin } from '../define.js'

const SendSmsData = Type.Object(
  {
    phoneNumber: Type.String({
      pattern: '^\\+?[1-9]\\d{5,14}$',
      maxLength: 16,
      description: 'One number, with a country code outside mainland China.',
      ...sensitive,
    }),
    templateCode: Type.String({
      pattern: '^[A-Za-z0-9_]{1,64}$',
      maxLength: 64,
      description: 'An approved template allowed by the operator.',
    }),
    templateParams: Type.Optional(
      Type.Record(Type.String({ pattern: '^\\w{1,32}$' }), Type.String({ maxLength: 100 }), {
        maxProperties: 20,
        additionalProperties: false,
        description: "Values for the template's variables.",
        ...sensitive,
      }),
    ),
    signName: Type.Optional(Line(32, { description: 'Sign name. Defaults to the configured sign name.' })),
    purpose: Type.Optional(
      StringEnum(['otp', 'notification'], {
        description:
          'otp: expires after 5 minutes, and fails if the number received too many messages. notification (default): waits instead.',
      }),
    ),
  },
  closed,
)

const SendSmsResult = Type.Object(
  {
    bizId: Nullable(Type.String({ description: "Aliyun's receipt; null if the message was found by looking it up." })),
    vendorRequestId: Nullable(Type.String()),
    reconciled: Type.Boolean({
      description: 'Whether the message was found among sent messages after the response to sending it was lost.',
    }),
  },
  closed,
)
type SendSmsResult = Static<typeof SendSmsResult>
type Ctx = BuiltinContext<'aliyunSms'>

const otpExpiresInMs = 5 * 60_000

/**
 * Sends one message. One attempt is one hand-over: it is not over before Aliyun has said whether the message was taken,
 * so a message is sent again only when it is known not to be sent.
 */
export const sendSms = defineBuiltin({
  name: 'send-sms',
  queue: 'external-api',
  description:
    'Sends one SMS from an approved template through Aliyun. With purpose otp, it expires after 5 minutes unless expiresInMs is set.',
  data: SendSmsData,
  result: SendSmsResult,
  example: { phoneNumber: '+8613800138000', templateCode: 'SMS_100000001', templateParams: { code: '123456' }, purpose: 'otp' },
  defaults: { attempts: 2, backoff: { type: 'fixed', delayMs: 3000 }, priority: 'high', timeoutMs: 30_000 },
  requires: ['aliyunSms'],
  timing: ({ purpose }, now) => (purpose === 'otp' ? { expiresAt: now + otpExpiresInMs } : {}),
  async run(data, ctx) {
    const message = { ...data, purpose: data.purpose ?? 'notification' }
    const before = await ctx.marker.read()
    if (before.state === 'done') return done(before.result as SendSmsResult)
    return before.state === 'begun' ? reconcile(message, ctx) : send(message, ctx)
  },
})

const toCall = (ctx: Ctx) => ({ reference: ctx.jobId, signal: ctx.signal })

const send = async (message: TextMessage, ctx: Ctx): Promise<BuiltinOutcome<SendSmsResult>> => {
  const sent: SmsOutcome = await ctx.integrations.aliyunSms.send(message, { ...toCall(ctx), begin: () => ctx.marker.begin() })
  switch (sent.kind) {
    case 'accepted':
      return complete({ bizId: sent.bizId, vendorRequestId: sent.vendorRequestId, reconciled: false }, ctx)
    case 'not-configured':
      return fail('not_configured', `Set ${sent.variable} on the workers.`)
    case 'unconfirmed':
      return defer(sent.code, sent.message, settleMs)
    default:
      await ctx.marker.clear()
      return toFailedAttempt(sent)
  }
}

const reconcile = async (message: TextMessage, ctx: Ctx): Promise<BuiltinOutcome<SendSmsResult>> => {
  const found: Awaited<ReturnType<AliyunSms['reconcile']>> = await ctx.integrations.aliyunSms.reconcile(message, toCall(ctx))
  switch (found.kind) {
    case 'sent':
      return complete({ bizId: null, vendorRequestId: null, reconciled: true }, ctx)
    case 'absent':
      await ctx.marker.clear()
      if (ctx.isExpired) return fail('expired', 'The message was not accepted before it expired.')
      return retry('sms.unavailable', 'The SMS service did not accept the message; it is not in its records.')
    case 'not-yet':
      return defer('sms.outcome_unknown', "The message is not in the SMS service's records yet.", found.afterMs)
    default:
      return toFailedAttempt(found)
  }
}

const complete = async (result: SendSmsResult, ctx: Ctx): Promise<BuiltinOutcome<SendSmsResult>> => {
  await ctx.marker.done(result)
  return done(result)
}
