// Stores recordings at Amazon S3, Aliyun OSS and Tencent COS: one client, three profiles, constant memory.

import { createHash } from 'node:crypto'
import { Readable } from 'node:stream'
import { HeadObjectCommand, S3Client } from '@aws-sdk/client-s3'
import { Upload } from '@aws-sdk/lib-storage'
import { NodeHttpHandler } from '@smithy/node-http-handler'
import { createOutbound } from '../../outbound/client.js'
import type { OutboundSettings } from '../../outbound/settings.js'
import { traceCall } from '../../telemetry/spans.js'
import { type StoreFailure, toStoreVerdict } from './failure.js'
import { createSend } from './send.js'
import type { BucketSettings, ObjectStorageSettings } from './settings.js'

export const storageProviders = ['aws', 'aliyun', 'tencent'] as const
export type StorageProvider = (typeof storageProviders)[number]

/** Where the providers differ. Sources: their own pages on S3 compatibility. */
const profiles: Readonly<Record<StorageProvider, { endpoint(region: string): string; noOverwriteHeader: string }>> = {
  aws: {
    endpoint: (region) => `https://s3.${region}.amazonaws.com${region.startsWith('cn-') ? '.cn' : ''}`,
    noOverwriteHeader: 'if-none-match',
  },
  aliyun: { endpoint: (region) => `https://s3.oss-${region}.aliyuncs.com`, noOverwriteHeader: 'x-oss-forbid-overwrite' },
  tencent: { endpoint: (region) => `https://cos.${region}.myqcloud.com`, noOverwriteHeader: 'x-cos-forbid-overwrite' },
}

/** What is known of an object without reading it. */
export interface StoredObject {
  readonly sizeBytes: number
  /** Without quotes; that of a multipart upload is no MD5. */
  readonly etag: string | null
  readonly contentType: string | null
  readonly metadata: Readonly<Record<string, string>>
}

export interface StoreRequest {
  readonly key: string
  /** Read once. What it throws comes back as `source-failed`. */
  readonly body: AsyncIterable<Uint8Array>
  readonly contentType: string
  /** Names in lower case. `job-id` identifies the object if a response was lost. */
  readonly metadata: Readonly<Record<string, string>> & { readonly 'job-id': string }
  /** Checked before the object comes into being; `sha256` in hex. */
  readonly expected: { readonly sizeBytes?: number | undefined; readonly sha256?: string | undefined }
  /** The most that can come: decides the size of the parts. */
  readonly sizeBytesMax: number
  readonly overwrite: boolean
  readonly signal: AbortSignal
  /** Called with the bytes read so far, after every chunk. */
  onBytes?(sizeBytes: number): Promise<void>
  /** Called when the parts of a failed upload could not be removed. */
  onLeftOver?(): void
}

/** What was read: bytes and their SHA-256 in hex. */
export interface Counted {
  readonly sizeBytes: number
  readonly sha256: string
}

/** How the body differs from what was expected. */
export type Mismatch = 'shorter' | 'longer' | 'sha256'

export type StoreOutcome =
  | ({ readonly kind: 'stored'; readonly etag: string | null } & Counted)
  /** Another object has the key; it was not touched. */
  | ({ readonly kind: 'exists'; readonly object: StoredObject } & Counted)
  /** The body threw; nothing is left behind. */
  | { readonly kind: 'source-failed'; readonly error: unknown }
  /** Nothing is left behind. */
  | { readonly kind: 'mismatch'; readonly what: Mismatch }
  | { readonly kind: 'aborted' }
  | StoreFailure

export type HeadOutcome = { readonly kind: 'found'; readonly object: StoredObject } | { readonly kind: 'absent' } | StoreFailure

export type Store = ReturnType<typeof createStore>
export type ObjectStorage = ReturnType<typeof openObjectStorage>

const connectTimeoutMs = 5000
const requestTimeoutMs = 60_000
/** Looking what became of a request goes on after an abort, but not for long. */
const aftermathTimeoutMs = 15_000
/** S3 allows 10,000. */
const partsMax = 9000
const partsAtOnce = 2

/** Opens the providers that are configured, and the way to the sources of recordings; nothing is called yet. */
export const openObjectStorage = ({
  settings: { buckets, upload },
  outbound,
  placesAtOnce,
}: {
  settings: ObjectStorageSettings
  outbound: OutboundSettings
  /** Jobs of the queue of uploads that this process runs at once. */
  placesAtOnce: number
}) => {
  const stores = new Map<StorageProvider, Store>()
  for (const provider of storageProviders) {
    const bucket = buckets[provider]
    if (bucket) stores.set(provider, createStore(provider, bucket, upload.partBytes))
  }
  const source = createOutbound({ rules: outbound })
  let running = 0
  // Uploads take long: where a worker runs several jobs at once, one place stays free for the other types of the queue.
  const slots = Math.max(1, Math.min(upload.concurrency, placesAtOnce - 1))
  return {
    /** The store of one provider, or null when it is not configured. */
    store: (provider: StorageProvider): Store | null => stores.get(provider) ?? null,
    /** Fetches from addresses that clients name. */
    source,
    limits: upload,
    /** Reserves one of the uploads this process runs at once; null when all are taken. Call the answer to give it back. */
    takeSlot(): (() => void) | null {
      if (running >= slots) return null
      running += 1
      return () => {
        running -= 1
      }
    },
    async close(): Promise<void> {
      for (const store of stores.values()) store.close()
      await source.close()
    },
  }
}

const createStore = (provider: StorageProvider, settings: BucketSettings, partBytes: number) => {
  const { bucket } = settings
  const profile = profiles[provider]
  const endpoint = new URL(settings.endpoint ?? profile.endpoint(settings.region))
  const client = new S3Client({
    region: settings.region,
    endpoint: endpoint.href,
    forcePathStyle: settings.forcePathStyle,
    credentials: { accessKeyId: settings.accessKeyId, secretAccessKey: settings.secretAccessKey },
    // OSS and COS refuse the checksums that the client would add of its own accord.
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
    maxAttempts: 2,
    requestHandler: new NodeHttpHandler({
      connectionTimeout: connectTimeoutMs,
      requestTimeout: requestTimeoutMs,
      throwOnRequestTimeout: true,
    }),
  })

  const head = async (key: string, signal: AbortSignal): Promise<HeadOutcome> => {
    try {
      const found = await client.send(new HeadObjectCommand({ Bucket: bucket, Key: key }), { abortSignal: signal })
      return {
        kind: 'found',
        object: {
          sizeBytes: found.ContentLength ?? 0,
          etag: unquote(found.ETag),
          contentType: found.ContentType ?? null,
          metadata: found.Metadata ?? {},
        },
      }
    } catch (error) {
      const { status, failure } = toStoreVerdict(error)
      return status === 404 ? { kind: 'absent' } : failure
    }
  }
  const headAfterwards = (key: string) => head(key, AbortSignal.timeout(aftermathTimeoutMs))

  /** Finds out what became of the request that creates the object, when its answer is missing or a conflict. */
  const reconcile = async (error: unknown, request: StoreRequest, counted: Counted): Promise<StoreOutcome> => {
    const { failure, exists, sent } = toStoreVerdict(error)
    if (failure.kind === 'refused' || !sent) return failure
    const found = await headAfterwards(request.key)
    if (found.kind === 'absent') return failure
    if (found.kind === 'refused') return found
    if (found.kind !== 'found') {
      const message = 'The object storage did not confirm whether it stored the recording.'
      return { kind: 'unavailable', code: 'upload.outcome_unknown', message }
    }
    const { object } = found
    if (object.metadata['job-id'] === request.metadata['job-id'] && object.sizeBytes === counted.sizeBytes) {
      return { kind: 'stored', etag: object.etag, ...counted }
    }
    return exists ? { kind: 'exists', object, ...counted } : failure
  }

  const put = async (request: StoreRequest): Promise<StoreOutcome> => {
    const source = toCounted(request)
    const body = Readable.from(source.read(), { objectMode: false })
    // The first error is the cause; later ones, such as that of the clean-up, follow from it.
    let first: { readonly error: unknown; readonly finishing: boolean } | undefined
    const halt = new AbortController()
    const failed = (error: unknown, finishing: boolean): void => {
      first ??= { error, finishing }
      // The other uploader may be sending a part or waiting for a slow source.
      halt.abort()
      source.stop()
      body.destroy()
    }
    body.on('error', (error) => failed(error, false))
    const onAbort = () => failed(request.signal.reason, false)
    request.signal.addEventListener('abort', onAbort, { once: true })
    if (request.signal.aborted) onAbort()
    const send = createSend({
      client,
      signal: halt.signal,
      noOverwriteHeader: request.overwrite ? null : profile.noOverwriteHeader,
      isTaken: async () => (await headAfterwards(request.key)).kind !== 'absent',
      failed,
      leftOver: () => request.onLeftOver?.(),
    })
    const upload = new Upload({
      client: { config: client.config, send } as unknown as S3Client,
      params: { Bucket: bucket, Key: request.key, Body: body, ContentType: request.contentType, Metadata: { ...request.metadata } },
      partSize: Math.max(partBytes, Math.ceil(request.sizeBytesMax / partsMax)),
      queueSize: partsAtOnce,
    })
    try {
      const answer = await upload.done()
      return { kind: 'stored', etag: unquote(answer.ETag), ...source.counted() }
    } catch (error) {
      const cause = first ?? { error, finishing: false }
      if (cause.finishing) return await reconcile(cause.error, request, source.counted())
      if (request.signal.aborted) return { kind: 'aborted' }
      return source.failure() ?? toStoreVerdict(cause.error).failure
    } finally {
      request.signal.removeEventListener('abort', onAbort)
      body.destroy()
    }
  }

  const host = endpoint.hostname
  return {
    bucket,
    /** What is stored under a key. Never throws. */
    head: (key: string, signal: AbortSignal): Promise<HeadOutcome> =>
      traceCall({ name: 'head object', host }, () => head(key, signal), toCallEnd),
    /**
     * Stores a body while never holding more than a few parts of it. Unless `overwrite` is set an existing object stays.
     * After a failure or an abort neither the object nor an open multipart upload is left, as far as the store can be reached.
     * Never throws.
     */
    put: (request: StoreRequest): Promise<StoreOutcome> => traceCall({ name: 'put object', host }, () => put(request), toCallEnd),
    /** The address of an object, without query: it opens only what the policy of the bucket opens. */
    urlOf(key: string): string {
      const path = key.split('/').map(encodeURIComponent).join('/')
      const base = endpoint.pathname.replace(/\/$/, '')
      if (settings.forcePathStyle) return `${endpoint.origin}${base}/${bucket}/${path}`
      return `${endpoint.protocol}//${bucket}.${endpoint.host}${base}/${path}`
    },
    close: () => client.destroy(),
  }
}

const fineKinds: ReadonlySet<string> = new Set(['stored', 'exists', 'found', 'absent'])
const toCallEnd = ({ kind }: StoreOutcome | HeadOutcome) => (fineKinds.has(kind) ? {} : { fault: kind })

const unquote = (etag: string | undefined): string | null => etag?.replace(/^(?:W\/)?"(.*)"$/, '$1') ?? null

/**
 * Counts and hashes what passes, and throws before the end when it is not what was expected, so that nothing is completed.
 * `stop` ends it at once, even while the source is silent.
 */
const toCounted = ({ body, expected, onBytes }: StoreRequest) => {
  const hash = createHash('sha256')
  let sizeBytes = 0
  let sha256 = ''
  let failure: Extract<StoreOutcome, { kind: 'source-failed' | 'mismatch' }> | null = null
  let stop = (): void => undefined

  const iterator = body[Symbol.asyncIterator]()
  const next = () =>
    new Promise<IteratorResult<Uint8Array>>((resolve, reject) => {
      stop = () => reject(new Error('stopped'))
      iterator.next().then(resolve, (error) => {
        failure ??= { kind: 'source-failed', error }
        reject(error)
      })
    })
  const refuse = (what: Mismatch): Error => {
    failure = { kind: 'mismatch', what }
    return new Error(`The body is not as expected: ${what}`)
  }
  return {
    async *read(): AsyncGenerator<Uint8Array> {
      try {
        for (let step = await next(); !step.done; step = await next()) {
          hash.update(step.value)
          sizeBytes += step.value.length
          if (expected.sizeBytes !== undefined && sizeBytes > expected.sizeBytes) throw refuse('longer')
          await onBytes?.(sizeBytes)
          yield step.value
        }
        if (expected.sizeBytes !== undefined && sizeBytes < expected.sizeBytes) throw refuse('shorter')
        sha256 = hash.digest('hex')
        if (expected.sha256 !== undefined && sha256 !== expected.sha256.toLowerCase()) throw refuse('sha256')
      } finally {
        // Not awaited: a silent source would keep it waiting.
        iterator.return?.().catch(() => undefined)
      }
    },
    stop: () => stop(),
    counted: (): Counted => ({ sizeBytes, sha256 }),
    failure: () => failure,
  }
}
