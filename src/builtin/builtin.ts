// The explicit list of job types, and what is derived from their schemas.

import type { JobType } from '../types/definition.js'
import { sendMeetingInvitation } from './email/send-meeting-invitation.js'
import { sendMeetingReminder } from './email/send-meeting-reminder.js'
import { sendNotificationEmail } from './email/send-notification-email.js'
import { sendPasswordResetEmail } from './email/send-password-reset-email.js'
import { sendVerificationEmail } from './email/send-verification-email.js'
import { processWebhook } from './external/process-webhook.js'
import { sendSms } from './external/send-sms.js'
import { syncLarkBitable } from './external/sync-lark-bitable.js'
import { syncTencentMeeting } from './external/sync-tencent-meeting.js'
import { uploadRecording } from './external/upload-recording.js'
import { analyzeMeetingContent } from './meeting/analyze-meeting-content.js'
import { processMeetingRecord } from './meeting/process-meeting-record.js'
import { syncMeetingData } from './meeting/sync-meeting-data.js'

/** Every job type Jobgate knows. A new one is listed here. */
export const builtinTypes: readonly JobType[] = [
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
