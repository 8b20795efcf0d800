// What Aliyun SMS brings to Jobgate: its settings, its job errors and its client.

import type { Opening } from '../../types/integration.js'
import { smsErrors } from './job-errors.js'
import { aliyunSmsSettings } from './settings.js'

export const aliyunSms = {
  settings: aliyunSmsSettings,
  errors: smsErrors,
  integration: {
    name: 'aliyunSms',
    variable: 'ALIYUN_SMS_ACCESS_KEY_ID',
    async open({ config, store }: Opening<{ aliyunSms: ReturnType<typeof aliyunSmsSettings.toSettings> }>) {
      const settings = config.settings.aliyunSms
      return settings && store && (await import('./aliyun-sms.js')).openAliyunSms({ settings, ...store })
    },
  },
} as const
