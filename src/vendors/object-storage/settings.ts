// What an operator sets for object storage and the uploads to it.

import type { Static, TObject } from '@sinclair/typebox'
import { defineSettings } from '../../config/config.js'
import { requireUrl } from '../../config/setting-checks.js'
import { count, flag, listOr, text } from '../../config/variables.js'

const variables = {
  STORAGE_AWS_REGION: text('Region of Amazon S3, such as eu-central-1. Set all four of REGION, BUCKET and the two keys, or none.'),
  STORAGE_AWS_BUCKET: text('Bucket for recordings on Amazon S3.'),
  STORAGE_AWS_ACCESS_KEY_ID: text('Access key ID for Amazon S3.'),
  STORAGE_AWS_SECRET_ACCESS_KEY: text('Secret access key for Amazon S3.'),
  STORAGE_AWS_ENDPOINT: text("http:// or https:// URL that overrides the region's default."),
  STORAGE_AWS_FORCE_PATH_STYLE: flag(false, 'Put the bucket name in the path instead of the host name.'),
  STORAGE_ALIYUN_REGION: text('Region of Aliyun OSS, such as cn-shanghai. Set all four of REGION, BUCKET and the two keys, or none.'),
  STORAGE_ALIYUN_BUCKET: text('Bucket for recordings on Aliyun OSS.'),
  STORAGE_ALIYUN_ACCESS_KEY_ID: text('Access key ID for Aliyun OSS.'),
  STORAGE_ALIYUN_SECRET_ACCESS_KEY: text('Secret access key for Aliyun OSS.'),
  STORAGE_ALIYUN_ENDPOINT: text("http:// or https:// URL that overrides the region's default."),
  STORAGE_ALIYUN_FORCE_PATH_STYLE: flag(false, 'Put the bucket name in the path instead of the host name.'),
  STORAGE_TENCENT_REGION: text('Region of Tencent COS, such as ap-guangzhou. Set all four of REGION, BUCKET and the two keys, or none.'),
  STORAGE_TENCENT_BUCKET: text('Bucket for recordings on Tencent COS, ending in the APPID.'),
  STORAGE_TENCENT_ACCESS_KEY_ID: text('Access key ID for Tencent COS.'),
  STORAGE_TENCENT_SECRET_ACCESS_KEY: text('Secret access key for Tencent COS.'),
  STORAGE_TENCENT_ENDPOINT: text("http:// or https:// URL that overrides the region's default."),
  STORAGE_TENCENT_FORCE_PATH_STYLE: flag(false, 'Put the bucket name in the path instead of the host name.'),
  UPLOAD_MAX_BYTES: count(5_368_709_120, 1, 5_497_558_138_880, 'Maximum size of an uploaded recording, in bytes.'),
  UPLOAD_CONTENT_TYPES: listOr(
    'video/*,audio/*,text/plain,text/vtt,application/octet-stream',
    'Media types that may be uploaded. A subtype can be *.',
  ),
  UPLOAD_PART_BYTES: count(
    8_388_608,
    5_242_880,
    536_870_912,
    'Size of one part of an upload, in bytes. Each upload keeps about five parts in memory.',
  ),
  UPLOAD_CONCURRENCY: count(
    1,
    1,
    1000,
    'Concurrent uploads per worker. If a worker runs several jobs at once, one slot is always left for other types.',
  ),
  UPLOAD_IDLE_TIMEOUT_MS: count(30_000, 100, 600_000, 'How long the source of a recording may stay silent, in milliseconds.'),
}

type Environment = Static<TObject<typeof variables>>

/** One bucket of one provider. */
export interface BucketSettings {
  region: string
  bucket: string
  accessKeyId: string
  secretAccessKey: string
  endpoint: string | undefined
  forcePathStyle: boolean
}

const toBucket = (env: Environment, provider: 'AWS' | 'ALIYUN' | 'TENCENT'): BucketSettings | undefined => {
  const region = env[`STORAGE_${provider}_REGION`]
  const bucket = env[`STORAGE_${provider}_BUCKET`]
  const accessKeyId = env[`STORAGE_${provider}_ACCESS_KEY_ID`]
  const secretAccessKey = env[`STORAGE_${provider}_SECRET_ACCESS_KEY`]
  const endpoint = env[`STORAGE_${provider}_ENDPOINT`]
  const forcePathStyle = env[`STORAGE_${provider}_FORCE_PATH_STYLE`]
  if (endpoint) requireUrl(`STORAGE_${provider}_ENDPOINT`, endpoint, ['http:', 'https:'])
  if (region && bucket && accessKeyId && secretAccessKey) {
    return { region, bucket, accessKeyId, secretAccessKey, endpoint, forcePathStyle }
  }
  const missing = Object.entries({ REGION: region, BUCKET: bucket, ACCESS_KEY_ID: accessKeyId, SECRET_ACCESS_KEY: secretAccessKey })
    .filter(([, value]) => !value)
    .map(([name]) => `STORAGE_${provider}_${name}`)
  if (missing.length === 4 && !endpoint && !forcePathStyle) return undefined
  throw new Error(`Configuration: STORAGE_${provider}_ is incomplete; set ${missing.join(', ')} too`)
}

/** The bucket of each provider, undefined where none is configured, and the bounds of uploads. */
export const objectStorageSettings = defineSettings(variables, (env) => ({
  buckets: { aws: toBucket(env, 'AWS'), aliyun: toBucket(env, 'ALIYUN'), tencent: toBucket(env, 'TENCENT') },
  upload: {
    maxBytes: env.UPLOAD_MAX_BYTES,
    /** Lower case. */
    contentTypes: env.UPLOAD_CONTENT_TYPES.map((entry) => entry.trim().toLowerCase()),
    partBytes: env.UPLOAD_PART_BYTES,
    concurrency: env.UPLOAD_CONCURRENCY,
    idleTimeoutMs: env.UPLOAD_IDLE_TIMEOUT_MS,
  },
}))
export type ObjectStorageSettings = ReturnType<typeof objectStorageSettings.toSettings>
