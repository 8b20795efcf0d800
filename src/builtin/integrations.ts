// Opens the outside systems that the configuration names; handlers find them in `ctx.integrations`.

import type { BaseLogger } from 'pino'
import type { TranscriptAnalysis } from '../analysis/transcript-analysis.js'
import type { Config } from '../config/config.js'
import type { Smtp } from '../mail/smtp.js'
import { requireMailTemplates } from '../mail/templates/templates.js'
import type { AliyunSms } from '../vendors/aliyun-sms/aliyun-sms.js'
import type { Lark } from '../vendors/lark/lark.js'
import type { Llm } from '../vendors/llm/llm.js'
import type { ObjectStorage } from '../vendors/object-storage/object-storage.js'
import type { TencentMeeting } from '../vendors/tencent-meeting/tencent-meeting.js'
import type { SharedStore, VendorConfig } from './open-vendors.js'

/** What is configured in this process. A member is absent when its settings are. */
export interface Integrations {
  readonly smtp?: Smtp
  readonly lark?: Lark
  readonly tencentMeeting?: TencentMeeting
  readonly aliyunSms?: AliyunSms
  readonly objectStorage?: ObjectStorage
  readonly analyzer?: TranscriptAnalysis
  readonly llm?: Llm
}

export type IntegrationName = keyof Integrations

/** The variable an operator has to set for each integration: named by the error `not_configured`. */
export const integrationVariables: Readonly<Record<IntegrationName, string>> = {
  smtp: 'SMTP_URL',
  lark: 'LARK_APP_ID',
  tencentMeeting: 'TENCENT_MEETING_SECRET_ID',
  aliyunSms: 'ALIYUN_SMS_ACCESS_KEY_ID',
  objectStorage: 'STORAGE_AWS_BUCKET, STORAGE_ALIYUN_BUCKET or STORAGE_TENCENT_BUCKET',
  analyzer: 'ANALYSIS_THREADS',
  llm: 'ANALYSIS_LLM_BASE_URL',
}

/**
 * Opens what is configured; nothing is called yet.
 * Throws with one readable line when settings contradict each other or a template is broken.
 */
export const openIntegrations = async ({
  config,
  log,
  store,
}: {
  config: Pick<Config, 'smtp' | 'email'> & Partial<Pick<Config, 'analysis'>> & VendorConfig & StorageConfig
  /** What workers share; vendors whose limits span all workers are opened only with it. */
  store?: SharedStore
  log: Pick<BaseLogger, 'warn' | 'error'>
}): Promise<Integrations & { close(): Promise<void> }> => {
  // Read even without a mail server: submissions are checked against the templates here.
  const templates = requireMailTemplates(config.email)
  // Each is loaded where it is configured only: a gateway without workers needs none of their libraries.
  const smtp = config.smtp && (await import('../mail/smtp.js')).openSmtp({ smtp: config.smtp, email: config.email, templates, log })
  const vendors = store ? (await import('./open-vendors.js')).openVendors(config, store) : {}
  const objectStorage = await openStorage(config, log)
  const analyzer = config.analysis && (await import('../analysis/transcript-analysis.js')).openTranscriptAnalysis(config.analysis)
  const llm = config.analysis?.llm && (await import('../vendors/llm/llm.js')).openLlm(config.analysis.llm)
  return {
    ...(smtp ? { smtp } : {}),
    ...vendors,
    ...(objectStorage ? { objectStorage } : {}),
    ...(analyzer ? { analyzer } : {}),
    ...(llm ? { llm } : {}),
    async close() {
      await smtp?.close()
      await objectStorage?.close()
      await analyzer?.close()
      await llm?.close()
      await Promise.all(Object.values(vendors).map((vendor) => vendor.close()))
    },
  }
}

type StorageConfig = Partial<Pick<Config, 'storage' | 'upload' | 'outbound' | 'queues'>>

const openStorage = async (config: StorageConfig, log: Pick<BaseLogger, 'warn'>): Promise<ObjectStorage | undefined> => {
  const { storage, upload, outbound, queues } = config
  if (!storage || !upload || !outbound || !queues || !Object.values(storage).some((settings) => settings !== undefined)) return undefined
  if (outbound.allowPrivateHosts.length > 0) {
    log.warn('OUTBOUND_ALLOW_PRIVATE_HOSTS is set: job data can make this worker fetch from private hosts. Unset it in production.')
  }
  if (queues.concurrency['external-api'] === 1) {
    log.warn('QUEUE_CONCURRENCY_EXTERNAL_API is 1: an upload holds up the SMS and all else behind it in its queue. Set it to 2 or more.')
  }
  // Half a second and 25 MB that only workers with a bucket pay.
  const { openObjectStorage } = await import('../vendors/object-storage/object-storage.js')
  return openObjectStorage({ config: { storage, upload, outbound, queues } })
}
