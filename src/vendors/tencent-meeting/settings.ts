// What an operator sets for Tencent Meeting.

import type { Static, TObject } from '@sinclair/typebox'
import { defineSettings } from '../../config/config.js'
import { areTogether, requireUrl } from '../../config/setting-checks.js'
import { count, text, textOr } from '../../config/variables.js'

const variables = {
  TENCENT_MEETING_BASE_URL: textOr('https://api.meeting.qq.com', 'Address of the Tencent Meeting API.'),
  TENCENT_MEETING_SECRET_ID: text('Secret id at Tencent Meeting. Set SECRET_ID, SECRET_KEY and APP_ID, or none of them.'),
  TENCENT_MEETING_SECRET_KEY: text('Secret key at Tencent Meeting.'),
  TENCENT_MEETING_APP_ID: text('App id (enterprise id) at Tencent Meeting.'),
  TENCENT_MEETING_SDK_ID: text('SDK id at Tencent Meeting, for apps that have one.'),
  TENCENT_MEETING_USER_ID: text('User on whose behalf meetings are managed when a job names nobody.'),
  TENCENT_MEETING_INSTANCE_ID: count(1, 0, 100, 'Kind of device that calls are made for; 1 is a PC.'),
  TENCENT_MEETING_WEBHOOK_TOKEN: text('Token of the events that Tencent Meeting sends.'),
  TENCENT_MEETING_ENCODING_AES_KEY: text('EncodingAESKey of those events, 43 characters; unset: they come unencrypted.'),
  TENCENT_MEETING_TIMEOUT_MS: count(15_000, 100, 600_000, 'One call to Tencent Meeting may take this long.'),
}

type Environment = Static<TObject<typeof variables>>

const toApi = (env: Environment) => {
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

const toCallback = (env: Environment) => {
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

/** How to call Tencent Meeting, and what its events are checked with; each undefined when it is not configured. */
export const tencentMeetingSettings = defineSettings(variables, (env) => ({ api: toApi(env), callback: toCallback(env) }))
