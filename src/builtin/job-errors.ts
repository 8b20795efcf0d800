// The list of job errors: what each subject of the built-in job types brings, beside what can end any job.

import { analysisErrors } from '../analysis/job-errors.js'
import { smtpErrors } from '../mail/job-errors.js'
import { jobErrors } from '../types/job-errors.js'
import { smsErrors } from '../vendors/aliyun-sms/job-errors.js'
import { larkErrors } from '../vendors/lark/job-errors.js'
import { llmErrors } from '../vendors/llm/job-errors.js'
import { uploadErrors } from '../vendors/object-storage/job-errors.js'
import { tencentErrors } from '../vendors/tencent-meeting/job-errors.js'

/** Every `error.code` that a job of a built-in type can carry, in the order in which documents list them. */
export const builtinErrors = {
  ...jobErrors,
  ...smtpErrors,
  ...uploadErrors,
  ...larkErrors,
  ...tencentErrors,
  ...smsErrors,
  ...analysisErrors,
  ...llmErrors,
} as const

export type BuiltinErrorCode = keyof typeof builtinErrors
