// Opens the vendors whose limits and locks all workers share through Redis.

import type { Config } from '../config/config.js'
import type { RedisClient } from '../redis/connect.js'
import { createLock } from '../redis/lock.js'
import type { Keys } from '../redis/redis-keys.js'
import { openAliyunSms } from '../vendors/aliyun-sms/aliyun-sms.js'
import { createCallQuota } from '../vendors/call-quota.js'
import { openLark } from '../vendors/lark/lark.js'
import { openTencentMeeting } from '../vendors/tencent-meeting/tencent-meeting.js'
import { createVendorTokens } from '../vendors/tokens.js'

/** What all workers share. */
export interface SharedStore {
  readonly redis: RedisClient
  readonly keys: Keys
}

/** The limits of a Tencent Meeting app. Some routes allow less; those say so by 190310. */
const tencentQuotas = [
  { calls: 300, windowMs: 60_000 },
  { calls: 200_000, windowMs: 86_400_000 },
]

/** Under which name the STS token of Tencent Meeting is kept. */
export const stsTokenName = 'tencent-sts'

export type VendorConfig = Partial<Pick<Config, 'lark' | 'tencentMeeting' | 'aliyunSms' | 'encryptionKeys'>>

/** Opens what is configured; nothing is called yet. A member is absent when its settings are. */
export const openVendors = (config: VendorConfig, { redis, keys }: SharedStore) => {
  const tokens = createVendorTokens({ redis, keys, encryptionKeys: config.encryptionKeys ?? [] })
  return {
    ...(config.lark ? { lark: openLark({ settings: config.lark, redis, keys, lock: createLock({ redis, keys }) }) } : {}),
    ...(config.tencentMeeting
      ? {
          tencentMeeting: openTencentMeeting({
            settings: config.tencentMeeting,
            quota: createCallQuota({ redis, keys, vendor: 'tencent-meeting', quotas: tencentQuotas }),
            stsTokens: { read: () => tokens.read(stsTokenName) },
          }),
        }
      : {}),
    ...(config.aliyunSms ? { aliyunSms: openAliyunSms({ settings: config.aliyunSms, redis, keys }) } : {}),
  }
}
