// The one list of what the built-in job types are made of. A new vendor is listed here, and named by the job types that call it.

import { analysis } from '../analysis/manifest.js'
import { mail } from '../mail/manifest.js'
import { outboundSettings } from '../outbound/settings.js'
import { aliyunSms } from '../vendors/aliyun-sms/manifest.js'
import { lark } from '../vendors/lark/manifest.js'
import { llm } from '../vendors/llm/manifest.js'
import { objectStorage } from '../vendors/object-storage/manifest.js'
import { tencentMeeting } from '../vendors/tencent-meeting/manifest.js'

/** By the name of their settings, in the order in which documents list them. */
export const manifests = {
  mail,
  objectStorage,
  tencentMeeting,
  lark,
  aliyunSms,
  llm,
  analysis,
  outbound: { settings: outboundSettings },
} as const

export type Manifests = typeof manifests
