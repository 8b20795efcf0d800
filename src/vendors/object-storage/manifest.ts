// What object storage brings to Jobgate: its settings, its job errors and its client.

import type { OutboundSettings } from '../../outbound/settings.js'
import type { Opening } from '../../types/integration.js'
import { uploadErrors } from './job-errors.js'
import { type ObjectStorageSettings, objectStorageSettings } from './settings.js'

export const objectStorage = {
  settings: objectStorageSettings,
  errors: uploadErrors,
  integration: {
    name: 'objectStorage',
    variable: 'STORAGE_AWS_BUCKET, STORAGE_ALIYUN_BUCKET or STORAGE_TENCENT_BUCKET',
    async open({ config, log }: Opening<{ objectStorage: ObjectStorageSettings; outbound: OutboundSettings }>) {
      const { objectStorage: settings, outbound } = config.settings
      const placesAtOnce = config.queues.concurrency.byQueue['external-api']
      if (!Object.values(settings.buckets).some((bucket) => bucket !== undefined)) return undefined
      if (outbound.allowPrivateHosts.length > 0) {
        log.warn('OUTBOUND_ALLOW_PRIVATE_HOSTS is set, so job data can make this worker fetch from private hosts. Unset it in production.')
      }
      if (placesAtOnce === 1) {
        log.warn('QUEUE_CONCURRENCY_EXTERNAL_API is 1, so an upload blocks SMS and all other jobs in its queue. Set it to 2 or more.')
      }
      // Half a second and 25 MB that only workers with a bucket pay.
      const { openObjectStorage } = await import('./object-storage.js')
      return openObjectStorage({ settings, outbound, placesAtOnce })
    },
  },
} as const
