// What an operator sets for Tencent Meeting.

import type { Static, TObject } from '@sinclair/typebox'
import { defineSettings } from '../../config/config.js'
import { areTogether, requireUrl } from '../../config/setting-checks.js'
import { count, text, textOr } from '../../config/variables.js'

const variables = {
  TENCENT_MEETING_BASE_URL: textOr('https://api.meeting.qq.com', 'URL of the Tencent Meeting API.'),
  TENCENT_MEETING_SECRET_ID: text('Tencent Meeting secret ID. Set all of SECRET_ID, SECRET_KEY and APP_ID, or none.'),
  TENCENT_MEETING_SECRET_KEY: text('Tencent Meeting secret key.'),
  TENCENT_MEETING_APP_ID: text('Tencent Meeting app ID (enterprise ID).'),
  TENCENT_MEETING_SDK_ID: text('Tencent Meeting SDK ID, for apps that have one.'),
  TENCENT_MEETING_USER_ID: text('Default user on whose behalf meetings are managed.'),
  TENCENT_MEETING_INSTANCE_ID: count(1, 0, 100, 'Device type of calls; 1 is a PC.'),
  TENCENT_MEETING_WEBHOOK_TOKEN: text('Token of Tencent Meeting events.'),
  TENCENT_MEETING_ENCODING_AES_KEY: text('EncodingAESKey of these events, 43 characters. If unset, events are unencrypted.'),
  TENCENT_MEETING_TIMEOUT_MS: count(15_000, 100, 600_000, 'Timeout of one call to Tencent Meeting, in milliseconds.'),
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
      throw new Error('Configuration: TENCENT_MEETING_ENCODING_AES_KEY must be 43 characters: letters, digits, + and /')
    }
  }
  return TENCENT_MEETING_WEBHOOK_TOKEN === undefined
    ? undefined
    : { token: TENCENT_MEETING_WEBHOOK_TOKEN, encodingAesKey: TENCENT_MEETING_ENCODING_AES_KEY }
}

/** How to call Tencent Meeting, and what its events are checked with; each undefined when it is not configured. */
export const tencentMeetingSettings = defineSettings(variables, (env) => ({ api: toApi(env), callback: toCallback(env) }), [
  'TENCENT_MEETING_WEBHOOK_TOKEN',
])
