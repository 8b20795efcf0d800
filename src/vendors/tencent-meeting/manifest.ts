// What Tencent Meeting brings to Jobgate: its settings, its job errors, its client and its events.

import type { Opening } from '../../types/integration.js'
import { createCallQuota } from '../call-quota.js'
import { createVendorTokens } from '../tokens.js'
import { stsTokenName } from './callback.js'
import { tencentInbound } from './inbound.js'
import { tencentErrors } from './job-errors.js'
import { tencentMeetingSettings } from './settings.js'

/** The limits of an app. Some routes allow less; those say so by 190310. */
const quotas = [
  { calls: 300, windowMs: 60_000 },
  { calls: 200_000, windowMs: 86_400_000 },
]

export const tencentMeeting = {
  settings: tencentMeetingSettings,
  errors: tencentErrors,
  integration: {
    name: 'tencentMeeting',
    variable: 'TENCENT_MEETING_SECRET_ID',
    async open({ config, store }: Opening<{ tencentMeeting: ReturnType<typeof tencentMeetingSettings.toSettings> }>) {
      const { api } = config.settings.tencentMeeting
      if (!api || !store) return undefined
      const { openTencentMeeting } = await import('./tencent-meeting.js')
      const tokens = createVendorTokens({ ...store, encryptionKeys: config.encryptionKeys })
      return openTencentMeeting({
        settings: api,
        quota: createCallQuota({ ...store, vendor: 'tencent-meeting', quotas }),
        stsTokens: { read: () => tokens.read(stsTokenName) },
      })
    },
  },
  inbound: tencentInbound,
} as const
