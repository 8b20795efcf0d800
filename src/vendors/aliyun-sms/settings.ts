// What an operator sets for text messages through Aliyun.

import { defineSettings } from '../../config/config.js'
import { areTogether, requireUrl } from '../../config/setting-checks.js'
import { count, list, listOr, text, textOr } from '../../config/variables.js'

const variables = {
  ALIYUN_SMS_ENDPOINT: textOr('https://dysmsapi.aliyuncs.com', 'URL of the Aliyun SMS API.'),
  ALIYUN_SMS_ACCESS_KEY_ID: text('Access key ID for Aliyun SMS. Set all of ACCESS_KEY_ID, ACCESS_KEY_SECRET and TEMPLATES, or none.'),
  ALIYUN_SMS_ACCESS_KEY_SECRET: text('Access key secret for Aliyun SMS.'),
  ALIYUN_SMS_SIGN_NAME: text('Default sign name of text messages.'),
  ALIYUN_SMS_TEMPLATES: list('Template codes that jobs may use.'),
  ALIYUN_SMS_TIMEOUT_MS: count(10_000, 100, 600_000, 'Timeout of one call to Aliyun SMS, in milliseconds.'),
  ALIYUN_SMS_PER_NUMBER_LIMITS: listOr(
    '1/60,5/3600,10/86400',
    'Limits on text messages per phone number, as count/seconds. All of them apply.',
  ),
}

const toNumberLimit = (entry: string) => {
  const [, messages, seconds] = /^\s*([1-9]\d{0,4})\/([1-9]\d{0,6})\s*$/.exec(entry) ?? []
  if (messages === undefined)
    throw new Error(`Configuration: ALIYUN_SMS_PER_NUMBER_LIMITS must be a list of count/seconds; "${entry}" is not valid`)
  return { count: Number(messages), windowMs: Number(seconds) * 1000 }
}

/** Undefined when it is not configured. */
export const aliyunSmsSettings = defineSettings(variables, (env, { queues }) => {
  requireUrl('ALIYUN_SMS_ENDPOINT', env.ALIYUN_SMS_ENDPOINT, ['http:', 'https:'])
  const { ALIYUN_SMS_ACCESS_KEY_ID, ALIYUN_SMS_ACCESS_KEY_SECRET } = env
  const templates = env.ALIYUN_SMS_TEMPLATES.map((entry) => entry.trim())
  const settings = {
    ALIYUN_SMS_ACCESS_KEY_ID,
    ALIYUN_SMS_ACCESS_KEY_SECRET,
    ALIYUN_SMS_TEMPLATES: templates.length > 0 ? templates : undefined,
  }
  const perNumberLimits = env.ALIYUN_SMS_PER_NUMBER_LIMITS.map(toNumberLimit)
  if (!areTogether('ALIYUN_SMS_', settings)) return undefined
  return {
    endpoint: env.ALIYUN_SMS_ENDPOINT,
    accessKeyId: ALIYUN_SMS_ACCESS_KEY_ID as string,
    accessKeySecret: ALIYUN_SMS_ACCESS_KEY_SECRET as string,
    signName: env.ALIYUN_SMS_SIGN_NAME,
    templates,
    timeoutMs: env.ALIYUN_SMS_TIMEOUT_MS,
    perNumberLimits,
    rememberMs: queues.attemptMarkerMs,
  }
})
