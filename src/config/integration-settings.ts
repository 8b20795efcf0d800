// The settings of outside services, each complete or absent.

import { day } from '../runtime/durations.js'
import type { Environment } from './environment.js'
import { areTogether, requireUrl } from './setting-checks.js'

/**
 * How long what an attempt began is remembered after the last attempt that asked, in milliseconds: no attempt takes more than a day,
 * and as long as the failed job is kept a client may retry it.
 */
export const attemptMarkerMs = (retentionFailedMs: number): number => Math.max(7 * day, retentionFailedMs) + day

/** One bucket of one provider. */
export interface StorageSettings {
  region: string
  bucket: string
  accessKeyId: string
  secretAccessKey: string
  endpoint: string | undefined
  forcePathStyle: boolean
}

export const toStorageSettings = (env: Environment, provider: 'AWS' | 'ALIYUN' | 'TENCENT'): StorageSettings | undefined => {
  const region = env[`STORAGE_${provider}_REGION`]
  const bucket = env[`STORAGE_${provider}_BUCKET`]
  const accessKeyId = env[`STORAGE_${provider}_ACCESS_KEY_ID`]
  const secretAccessKey = env[`STORAGE_${provider}_SECRET_ACCESS_KEY`]
  const endpoint = env[`STORAGE_${provider}_ENDPOINT`]
  const forcePathStyle = env[`STORAGE_${provider}_FORCE_PATH_STYLE`]
  if (endpoint) requireUrl(`STORAGE_${provider}_ENDPOINT`, endpoint, ['http:', 'https:'])
  if (region && bucket && accessKeyId && secretAccessKey) {
    return { region, bucket, accessKeyId, secretAccessKey, endpoint, forcePathStyle }
  }
  const missing = Object.entries({ REGION: region, BUCKET: bucket, ACCESS_KEY_ID: accessKeyId, SECRET_ACCESS_KEY: secretAccessKey })
    .filter(([, value]) => !value)
    .map(([name]) => `STORAGE_${provider}_${name}`)
  if (missing.length === 4 && !endpoint && !forcePathStyle) return undefined
  throw new Error(`Configuration: STORAGE_${provider}_ is half set, it lacks ${missing.join(', ')}`)
}

export const toLarkSettings = (env: Environment) => {
  requireUrl('LARK_BASE_URL', env.LARK_BASE_URL, ['http:', 'https:'])
  const { LARK_APP_ID, LARK_APP_SECRET, LARK_MEETING_APP_TOKEN, LARK_MEETING_TABLE_ID } = env
  areTogether('LARK_MEETING_', { LARK_MEETING_APP_TOKEN, LARK_MEETING_TABLE_ID })
  if (!areTogether('LARK_', { LARK_APP_ID, LARK_APP_SECRET })) return undefined
  return {
    baseUrl: env.LARK_BASE_URL,
    appId: LARK_APP_ID as string,
    appSecret: LARK_APP_SECRET as string,
    timeoutMs: env.LARK_TIMEOUT_MS,
    meetings: { appToken: LARK_MEETING_APP_TOKEN, tableId: LARK_MEETING_TABLE_ID, keyField: env.LARK_MEETING_KEY_FIELD },
  }
}

export const toTencentMeetingSettings = (env: Environment) => {
  requireUrl('TENCENT_MEETING_BASE_URL', env.TENCENT_MEETING_BASE_URL, ['http:', 'https:'])
  const { TENCENT_MEETING_SECRET_ID, TENCENT_MEETING_SECRET_KEY, TENCENT_MEETING_APP_ID } = env
  if (!areTogether('TENCENT_MEETING_', { TENCENT_MEETING_SECRET_ID, TENCENT_MEETING_SECRET_KEY, TENCENT_MEETING_APP_ID })) return undefined
  return {
    baseUrl: env.TENCENT_MEETING_BASE_URL,
    secretId: TENCENT_MEETING_SECRET_ID as string,
    secretKey: TENCENT_MEETING_SECRET_KEY as string,
    appId: TENCENT_MEETING_APP_ID as string,
    sdkId: env.TENCENT_MEETING_SDK_ID,
    userId: env.TENCENT_MEETING_USER_ID,
    instanceId: env.TENCENT_MEETING_INSTANCE_ID,
    timeoutMs: env.TENCENT_MEETING_TIMEOUT_MS,
  }
}

export const toTencentCallbackSettings = (env: Environment) => {
  const { TENCENT_MEETING_WEBHOOK_TOKEN, TENCENT_MEETING_ENCODING_AES_KEY } = env
  if (TENCENT_MEETING_ENCODING_AES_KEY !== undefined) {
    areTogether('The webhook of TENCENT_MEETING_', { TENCENT_MEETING_WEBHOOK_TOKEN, TENCENT_MEETING_ENCODING_AES_KEY })
    if (!/^[A-Za-z0-9+/]{43}$/.test(TENCENT_MEETING_ENCODING_AES_KEY)) {
      throw new Error('Configuration: TENCENT_MEETING_ENCODING_AES_KEY has 43 characters: letters, digits, + and /')
    }
  }
  return TENCENT_MEETING_WEBHOOK_TOKEN === undefined
    ? undefined
    : { token: TENCENT_MEETING_WEBHOOK_TOKEN, encodingAesKey: TENCENT_MEETING_ENCODING_AES_KEY }
}

export const toAliyunSmsSettings = (env: Environment) => {
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
    rememberMs: attemptMarkerMs(env.JOB_RETENTION_FAILED_MS),
  }
}

const toNumberLimit = (entry: string) => {
  const [, messages, seconds] = /^\s*([1-9]\d{0,4})\/([1-9]\d{0,6})\s*$/.exec(entry) ?? []
  if (messages === undefined) throw new Error(`Configuration: ALIYUN_SMS_PER_NUMBER_LIMITS is a list of count/seconds, "${entry}" is not`)
  return { count: Number(messages), windowMs: Number(seconds) * 1000 }
}

export const toLlmSettings = (env: Environment) => {
  const { ANALYSIS_LLM_BASE_URL, ANALYSIS_LLM_MODEL } = env
  if (!areTogether('The language model of ANALYSIS_', { ANALYSIS_LLM_BASE_URL, ANALYSIS_LLM_MODEL })) return undefined
  return {
    baseUrl: requireUrl('ANALYSIS_LLM_BASE_URL', ANALYSIS_LLM_BASE_URL as string, ['http:', 'https:']),
    apiKey: env.ANALYSIS_LLM_API_KEY,
    model: ANALYSIS_LLM_MODEL as string,
    timeoutMs: env.ANALYSIS_LLM_TIMEOUT_MS,
    maxTokens: env.ANALYSIS_LLM_MAX_TOKENS,
    maxSentences: env.ANALYSIS_MAX_SENTENCES,
  }
}
