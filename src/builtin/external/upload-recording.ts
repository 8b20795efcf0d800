// Job type: copies a recording from where it lies to object storage, checked while it streams, never over another one.

import { type Static, Type } from '@sinclair/typebox'
import { type OutboundOutcome, type OutboundResponse, outboundFault } from '../../outbound/outcome.js'
import { checkUrl } from '../../outbound/rules.js'
import { day } from '../../runtime/durations.js'
import { defer, done, fail, retry } from '../../types/definition.js'
import type { FieldProblem } from '../../types/field-problems.js'
import { closed, Line, Link, Nullable, StringEnum, sensitive } from '../../types/schema-parts.js'
import type { StoreFailure } from '../../vendors/object-storage/failure.js'
import { uploadErrors } from '../../vendors/object-storage/job-errors.js'
import type { Store, StoredObject, StoreOutcome } from '../../vendors/object-storage/object-storage.js'
import { toFailedAttempt as toFailedVendorCall } from '../../vendors/outcome.js'
import { VendorId } from '../../vendors/schema.js'
import { type BuiltinCheck, type BuiltinContext, type BuiltinOutcome, defineBuiltin } from '../define.js'
import { MeetingId } from '../meeting/meeting-id.js'
import { openRecordingSource, type SourceOutcome } from './recording-source.js'

const UploadRecordingData = Type.Object(
  {
    fileUrl: Link({ ...sensitive, description: 'Public https URL of the recording; it may contain a signature.' }),
    fileName: Type.String({
      minLength: 1,
      maxLength: 255,
      pattern: '^(?!\\.{1,2}$)[^/\\\\\\u0000-\\u001f\\u007f]*$',
      description: 'File name to store it under, without slashes, backslashes or control characters.',
    }),
    meetingId: MeetingId,
    storageProvider: StringEnum(['aws', 'aliyun', 'tencent'], { description: 'Amazon S3, Aliyun OSS or Tencent COS.' }),
    contentType: Type.Optional(
      Type.String({
        maxLength: 128,
        pattern: '^[A-Za-z0-9][A-Za-z0-9.+-]*/[A-Za-z0-9][A-Za-z0-9.+-]*$',
        description: "Media type to store it as, one that the operator allows. Defaults to the source's media type.",
      }),
    ),
    sizeBytes: Type.Optional(
      Type.Integer({ minimum: 0, maximum: 5_497_558_138_880, description: 'Exact size of the recording; anything else is not stored.' }),
    ),
    sha256: Type.Optional(
      Type.String({ pattern: '^[0-9A-Fa-f]{64}$', description: 'SHA-256 of the recording in hex; anything else is not stored.' }),
    ),
    recordFileId: Type.Optional(
      Type.String({
        ...VendorId,
        description:
          'Tencent Meeting ID of the recording. If fileUrl returns 403, as expired URLs do, a new URL is requested with this ID.',
      }),
    ),
    tencentUserId: Type.Optional(Line(64, { description: 'User who is allowed to read it. Defaults to the configured user.' })),
    overwrite: Type.Optional(
      Type.Boolean({ description: 'Replace a different object of the same name. Defaults to false, which makes the job fail instead.' }),
    ),
  },
  closed,
)
type UploadRecordingData = Static<typeof UploadRecordingData>

const UploadRecordingResult = Type.Object(
  {
    bucket: Type.String(),
    key: Type.String({ description: 'recordings/{meetingId}/{fileName}' }),
    uploadedUrl: Type.String({ description: 'URL of the object, without a query. The bucket policy determines who can open it.' }),
    sizeBytes: Type.Integer(),
    sha256: Nullable(Type.String(), { description: 'In hex; null if an earlier attempt stored it and the response was lost.' }),
    etag: Nullable(Type.String(), { description: 'As returned by the object storage; for large objects it is not an MD5.' }),
    contentType: Nullable(Type.String()),
    alreadyPresent: Type.Boolean({ description: 'True if the same object already existed.' }),
  },
  closed,
)
type UploadRecordingResult = Static<typeof UploadRecordingResult>

type Ctx = BuiltinContext<'objectStorage'>
type Outcome = BuiltinOutcome<UploadRecordingResult>

/** What is stored that nobody named the type of. */
const unnamedType = 'application/octet-stream'
/** The shortest limit is that of COS. */
const keyBytesMax = 850
const busyMs = 15_000
const busyJitterMs = 5000
const progressEveryMs = 1000
/** Statuses that a later attempt may not meet. */
const passingStatuses: ReadonlySet<number> = new Set([408, 425, 429])

export const uploadRecording = defineBuiltin({
  name: 'upload-recording',
  queue: 'external-api',
  description:
    'Fetches a recording and stores it as recordings/{meetingId}/{fileName} in a bucket. It never replaces an existing object by accident, and leaves nothing incomplete behind.',
  data: UploadRecordingData,
  result: UploadRecordingResult,
  example: {
    fileUrl: 'https://files.example.com/weekly-42.mp4?signature=4f9a',
    fileName: 'weekly-42.mp4',
    meetingId: 'weekly-42',
    storageProvider: 'aws',
    contentType: 'video/mp4',
  },
  defaults: { attempts: 5, backoff: { type: 'exponential', delayMs: 10_000 }, priority: 'low', timeoutMs: 1_800_000 },
  requires: ['objectStorage'],
  check: (data, { config }) => [...urlProblems(data, config), ...nameProblems(data), ...limitProblems(data, config)],
  async run(data, ctx) {
    const { objectStorage } = ctx.integrations
    const store = objectStorage.store(data.storageProvider)
    if (!store) return fail('not_configured', `Set STORAGE_${data.storageProvider.toUpperCase()}_BUCKET on the workers.`)
    const giveBack = objectStorage.takeSlot()
    if (!giveBack) return defer('upload.busy', uploadErrors['upload.busy'].meaning, busyMs + Math.random() * busyJitterMs)
    try {
      return await upload(data, store, ctx)
    } finally {
      giveBack()
    }
  },
})

const urlProblems = ({ fileUrl }: UploadRecordingData, { settings }: BuiltinCheck['config']): FieldProblem[] => {
  const detail = checkUrl(fileUrl, settings.outbound)
  return detail === null ? [] : [{ pointer: '#/data/fileUrl', detail }]
}

const nameProblems = (data: UploadRecordingData): FieldProblem[] => {
  const problem = (detail: string) => [{ pointer: '#/data/fileName', detail }]
  if (/\p{Cs}/u.test(data.fileName)) return problem('is not well-formed Unicode')
  return Buffer.byteLength(keyOf(data)) > keyBytesMax
    ? problem(`makes an object key of more than ${keyBytesMax} bytes together with meetingId`)
    : []
}

const limitProblems = ({ contentType, sizeBytes }: UploadRecordingData, { settings }: BuiltinCheck['config']): FieldProblem[] => {
  const { upload } = settings.objectStorage
  return [
    ...(contentType !== undefined && !isAccepted(contentType, upload.contentTypes)
      ? [{ pointer: '#/data/contentType', detail: `must be one of ${upload.contentTypes.join(', ')}` }]
      : []),
    ...(sizeBytes !== undefined && sizeBytes > upload.maxBytes
      ? [{ pointer: '#/data/sizeBytes', detail: `must not exceed ${upload.maxBytes}` }]
      : []),
  ]
}

const keyOf = ({ meetingId, fileName }: UploadRecordingData): string => `recordings/${meetingId}/${fileName}`

/** `type/*` stands for every subtype. */
const isAccepted = (mediaType: string, accepted: readonly string[]): boolean => {
  const wanted = mediaType.toLowerCase()
  return accepted.some((entry) => (entry.endsWith('/*') ? wanted.startsWith(entry.slice(0, -1)) : wanted === entry))
}

const upload = async (data: UploadRecordingData, store: Store, ctx: Ctx): Promise<Outcome> => {
  const key = keyOf(data)
  const present = await store.head(key, ctx.signal)
  ctx.signal.throwIfAborted()
  if (present.kind === 'found') {
    if (isSame(present.object, data, ctx.jobId, data.sizeBytes)) return done(toPresent(present.object, key, store))
    if (!data.overwrite) return conflict()
  } else if (present.kind !== 'absent') return toFailedAttempt(present)

  const { limits } = ctx.integrations.objectStorage
  const source = await openRecordingSource(data, ctx.integrations, {
    signal: ctx.signal,
    maxBytes: limits.maxBytes,
    idleTimeoutMs: limits.idleTimeoutMs,
    // The job's own timeoutMs, at most a day, ends it through the signal.
    totalTimeoutMs: day,
  })
  if (source.kind !== 'answered') return toExpired(source)
  if (source.isFresh) ctx.log('The source returned 403; Tencent Meeting provided a new URL.')
  const { answer } = source
  if (answer.kind !== 'response') return toSourceFailure(answer.kind)
  try {
    return refuseAnswer(answer, data, limits.contentTypes) ?? (await copy(answer, data, store, ctx))
  } finally {
    answer.discard()
  }
}

const copy = async (answer: OutboundResponse, data: UploadRecordingData, store: Store, ctx: Ctx): Promise<Outcome> => {
  const key = keyOf(data)
  const contentType = data.contentType ?? mediaTypeOf(answer) ?? unnamedType
  const stored = await store.put({
    key,
    body: answer.body,
    contentType,
    metadata: { 'job-id': ctx.jobId, ...(data.sha256 === undefined ? {} : { sha256: data.sha256.toLowerCase() }) },
    expected: { sizeBytes: data.sizeBytes, sha256: data.sha256 },
    sizeBytesMax: answer.sizeBytes ?? data.sizeBytes ?? ctx.integrations.objectStorage.limits.maxBytes,
    overwrite: data.overwrite ?? false,
    signal: ctx.signal,
    onBytes: createProgress(answer.sizeBytes ?? data.sizeBytes ?? null, ctx),
    onLeftOver: () => ctx.log('The parts of the failed upload could not be removed; a lifecycle rule of the bucket can remove them.'),
  })
  if (stored.kind === 'stored') {
    await ctx.progress(100)
    const { sizeBytes, sha256, etag } = stored
    return done({ ...whereOf(key, store), sizeBytes, sha256, etag, contentType, alreadyPresent: false })
  }
  if (stored.kind === 'exists') {
    const { object, sizeBytes, sha256 } = stored
    if (!isSame(object, { ...data, sha256 }, ctx.jobId, sizeBytes)) return conflict()
    return done({ ...toPresent(object, key, store), sha256 })
  }
  return toCopyFailure(stored, ctx)
}

/** Reports a percentage, or the bytes where the size is not known, at most once a second. */
const createProgress = (sizeBytes: number | null, ctx: Ctx) => {
  let reportedAt = 0
  return async (bytes: number): Promise<void> => {
    const now = Date.now()
    if (now - reportedAt < progressEveryMs) return
    reportedAt = now
    await ctx.progress(sizeBytes === null || sizeBytes === 0 ? { bytes } : Math.min(99, Math.floor((bytes * 100) / sizeBytes)))
  }
}

/** An earlier attempt of this job stored it, or it has the hash that was asked for. */
const isSame = (object: StoredObject, data: UploadRecordingData, jobId: string, sizeBytes: number | undefined): boolean =>
  (object.metadata['job-id'] === jobId && (sizeBytes === undefined || object.sizeBytes === sizeBytes)) ||
  (data.sha256 !== undefined && object.metadata['sha256'] === data.sha256.toLowerCase())

const whereOf = (key: string, store: Store) => ({ bucket: store.bucket, key, uploadedUrl: store.urlOf(key) })

const toPresent = (object: StoredObject, key: string, store: Store): UploadRecordingResult => ({
  ...whereOf(key, store),
  sizeBytes: object.sizeBytes,
  sha256: object.metadata['sha256'] ?? null,
  etag: object.etag,
  contentType: object.contentType,
  alreadyPresent: true,
})

const conflict = (): Outcome => fail('upload.object_conflict', uploadErrors['upload.object_conflict'].meaning)

const mediaTypeOf = ({ headers }: OutboundResponse): string | undefined =>
  headers['content-type']?.split(';')[0]?.trim().toLowerCase() || undefined

/** What is wrong with the source's answer, before its body is read; null accepts. */
const refuseAnswer = (answer: OutboundResponse, data: UploadRecordingData, accepted: readonly string[]): Outcome | null => {
  const { status, sizeBytes } = answer
  if (passingStatuses.has(status) || status >= 500) return retry('upload.source_unavailable', `The source returned ${status}.`)
  if (status !== 200) return fail('upload.source_refused', `The source returned ${status}.`)
  // An error page that comes with status 200 is not to be stored as a recording.
  const mediaType = mediaTypeOf(answer)
  const named = [mediaType, data.contentType].filter((type) => type !== undefined)
  const types = named.length > 0 ? named : [unnamedType]
  if (!types.every((type) => isAccepted(type, accepted))) return fail('upload.type_refused', uploadErrors['upload.type_refused'].meaning)
  if (data.sizeBytes !== undefined && sizeBytes !== null && sizeBytes !== data.sizeBytes) {
    return fail('upload.size_mismatch', `The source reports a size of ${sizeBytes} bytes.`)
  }
  return null
}

/** The source returned 403, and a new URL is not available. */
const toExpired = (source: Exclude<SourceOutcome, { kind: 'answered' }>): Outcome => {
  switch (source.kind) {
    case 'not-configured':
      return fail('not_configured', `The source returned 403. To request a new URL, set ${source.variable} on the workers.`)
    case 'no-address':
      return fail('upload.source_refused', 'The source returned 403, and Tencent Meeting provides no new URL.')
    case 'not-asked':
      return toFailedVendorCall(source.failure)
  }
}

const toSourceFailure = (kind: Exclude<OutboundOutcome['kind'], 'response'>): Outcome => {
  switch (kind) {
    case 'refused':
      return fail('upload.source_blocked', uploadErrors['upload.source_blocked'].meaning)
    case 'too-many-redirects':
      return fail('upload.source_refused', 'The source redirects too many times.')
    case 'encoded':
      return fail('upload.source_refused', 'The source sends the recording compressed, although the request forbids compression.')
    case 'too-large':
      return fail('upload.too_large', uploadErrors['upload.too_large'].meaning)
    case 'unreachable':
    case 'timeout':
    case 'aborted':
      return retry('upload.source_unavailable', uploadErrors['upload.source_unavailable'].meaning)
  }
}

const toCopyFailure = (stored: Exclude<StoreOutcome, { kind: 'stored' | 'exists' }>, ctx: Ctx): Outcome => {
  ctx.signal.throwIfAborted()
  switch (stored.kind) {
    case 'mismatch':
      if (stored.what === 'longer') return fail('upload.size_mismatch', uploadErrors['upload.size_mismatch'].meaning)
      if (stored.what === 'sha256') return retry('upload.hash_mismatch', uploadErrors['upload.hash_mismatch'].meaning)
      return retry('upload.source_interrupted', uploadErrors['upload.source_interrupted'].meaning)
    case 'source-failed':
      return toBrokenOff(stored.error)
    case 'aborted':
      return retry('upload.source_interrupted', uploadErrors['upload.source_interrupted'].meaning)
    default:
      return toFailedAttempt(stored)
  }
}

const toBrokenOff = (error: unknown): Outcome => {
  const fault = outboundFault(error)
  if (fault === null) throw error
  if (fault === 'too-large') return fail('upload.too_large', uploadErrors['upload.too_large'].meaning)
  return retry('upload.source_interrupted', uploadErrors['upload.source_interrupted'].meaning)
}

const toFailedAttempt = (failure: StoreFailure): Outcome => {
  if (failure.kind === 'throttled') return defer(failure.code, failure.message, failure.afterMs)
  return (failure.kind === 'refused' ? fail : retry)(failure.code, failure.message)
}
