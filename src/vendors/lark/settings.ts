// What an operator sets for Lark.

import type { Static, TObject } from '@sinclair/typebox'
import { defineSettings } from '../../config/config.js'
import { areTogether, requireUrl } from '../../config/setting-checks.js'
import { count, text, textOr } from '../../config/variables.js'

const variables = {
  LARK_BASE_URL: textOr('https://open.feishu.cn', 'URL of the Lark API. Use https://open.larksuite.com outside China.'),
  LARK_APP_ID: text('Lark app ID. Set both LARK_APP_ID and LARK_APP_SECRET, or neither.'),
  LARK_APP_SECRET: text('Lark app secret.'),
  LARK_ENCRYPT_KEY: text('Encrypt key of Lark events. Set both LARK_ENCRYPT_KEY and LARK_VERIFICATION_TOKEN, or neither.'),
  LARK_VERIFICATION_TOKEN: text('Verification token of Lark events.'),
  LARK_TIMEOUT_MS: count(15_000, 100, 600_000, 'Timeout of one call to Lark, in milliseconds.'),
  LARK_MEETING_APP_TOKEN: text('Token of the default Base for synced meetings. Requires LARK_MEETING_TABLE_ID.'),
  LARK_MEETING_TABLE_ID: text('Default table for synced meetings.'),
  LARK_MEETING_KEY_FIELD: textOr('meetingId', 'Default column for the meeting ID.'),
}

type Environment = Static<TObject<typeof variables>>

const toApi = (env: Environment) => {
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

/** How to call Lark, and what its events are checked with; each undefined when it is not configured. */
export const larkSettings = defineSettings(
  variables,
  (env) => {
    const { LARK_ENCRYPT_KEY, LARK_VERIFICATION_TOKEN } = env
    const hasEvents = areTogether('LARK_ENCRYPT_KEY and LARK_VERIFICATION_TOKEN', { LARK_ENCRYPT_KEY, LARK_VERIFICATION_TOKEN })
    return {
      api: toApi(env),
      callback: hasEvents ? { encryptKey: LARK_ENCRYPT_KEY as string, verificationToken: LARK_VERIFICATION_TOKEN as string } : undefined,
    }
  },
  ['LARK_ENCRYPT_KEY', 'LARK_VERIFICATION_TOKEN'],
)
