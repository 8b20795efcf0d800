// The explicit list of job types, and what is derived from their schemas.

import type { JobType } from './job-type.js'
import { analyzeMeetingContent } from './job-types/analyze-meeting-content.js'
import { processMeetingRecord } from './job-types/process-meeting-record.js'
import { processWebhook } from './job-types/process-webhook.js'
import { sendMeetingInvitation } from './job-types/send-meeting-invitation.js'
import { sendMeetingReminder } from './job-types/send-meeting-reminder.js'
import { sendNotificationEmail } from './job-types/send-notification-email.js'
import { sendPasswordResetEmail } from './job-types/send-password-reset-email.js'
import { sendSms } from './job-types/send-sms.js'
import { sendVerificationEmail } from './job-types/send-verification-email.js'
import { syncLarkBitable } from './job-types/sync-lark-bitable.js'
import { syncMeetingData } from './job-types/sync-meeting-data.js'
import { syncTencentMeeting } from './job-types/sync-tencent-meeting.js'
import { uploadRecording } from './job-types/upload-recording.js'

/** Every job type Jobgate knows. A new one is listed here. */
export const jobTypes: readonly JobType[] = [
  processMeetingRecord,
  analyzeMeetingContent,
  syncMeetingData,
  sendVerificationEmail,
  sendPasswordResetEmail,
  sendNotificationEmail,
  sendMeetingInvitation,
  sendMeetingReminder,
  uploadRecording,
  syncTencentMeeting,
  syncLarkBitable,
  sendSms,
  processWebhook,
]

/** Looks job types up by name. */
export const createCatalog = (types: readonly JobType[] = jobTypes) => {
  const byName = new Map(types.map((type) => [type.name, type]))
  return { all: types, find: (name: string): JobType | undefined => byName.get(name) }
}

export type Catalog = ReturnType<typeof createCatalog>
