// The one list of what the built-in job types are made of. A new vendor is listed here, and named by the job types that call it.

import { analysis } from '../analysis/subject.js'
import { mail } from '../mail/subject.js'
import { outboundSettings } from '../outbound/settings.js'
import { aliyunSms } from '../vendors/aliyun-sms/subject.js'
import { lark } from '../vendors/lark/subject.js'
import { llm } from '../vendors/llm/subject.js'
import { objectStorage } from '../vendors/object-storage/subject.js'
import { tencentMeeting } from '../vendors/tencent-meeting/subject.js'

/** By the name of their settings, in the order in which documents list them. */
export const subjects = {
  mail,
  objectStorage,
  tencentMeeting,
  lark,
  aliyunSms,
  llm,
  analysis,
  outbound: { settings: outboundSettings },
} as const

export type Subjects = typeof subjects
