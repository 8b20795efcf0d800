// Reads what an object store's error means, from its codes alone: texts of the store may repeat keys and addresses.

import type { UploadErrorCode } from './job-errors.js'

/** Why the store did not do what it was asked. `throttled`: not before `afterMs`. */
export type StoreFailure =
  | { readonly kind: 'refused' | 'unavailable'; readonly code: UploadErrorCode; readonly message: string }
  | { readonly kind: 'throttled'; readonly code: UploadErrorCode; readonly message: string; readonly afterMs: number }

export interface StoreVerdict {
  readonly failure: StoreFailure
  /** Absent where no answer came. */
  readonly status: number | undefined
  /** Nothing was stored, since another object has the key. */
  readonly exists: boolean
  /** False when the store cannot have seen the request. */
  readonly sent: boolean
}

const throttledMs = 30_000

const retryableNames: ReadonlySet<string> = new Set([
  'RequestTimeTooSkewed',
  'RequestTimeout',
  'InternalError',
  'ConditionalRequestConflict',
  'OperationAborted',
  // The upload was completed or cleaned up meanwhile; the object tells which.
  'NoSuchUpload',
])
const unsentCodes: ReadonlySet<string> = new Set(['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'EHOSTUNREACH', 'ENETUNREACH'])
const throttlingNames: ReadonlySet<string> = new Set(['SlowDown', 'Throttling', 'ThrottlingException', 'TooManyRequests'])

/** Sorts whatever the client threw. Sources: the error tables of S3, OSS and COS. */
export const toStoreVerdict = (error: unknown): StoreVerdict => {
  const { name, code, $metadata } = error as { name?: string; code?: string; $metadata?: { httpStatusCode?: number } }
  const status = $metadata?.httpStatusCode
  const reason = [name, code].find(
    (each) => each !== undefined && /^[A-Za-z0-9_]{3,64}$/.test(each) && !/^(Type)?Error$|^Unknown/.test(each),
  )
  const said = `${status ?? 'no response'}${reason ? `, ${reason}` : ''}`
  const verdict = (failure: StoreFailure, exists = false): StoreVerdict => ({
    failure,
    status,
    exists,
    sent: !unsentCodes.has(code ?? ''),
  })
  const refused = (code: UploadErrorCode, message: string) => verdict({ kind: 'refused', code, message: `${message} (${said}).` })
  const unavailable = (exists = false) =>
    verdict(
      { kind: 'unavailable', code: 'upload.store_unavailable', message: `The object storage could not store the recording (${said}).` },
      exists,
    )

  if (name !== undefined && retryableNames.has(name)) return unavailable()
  if (status === 429 || (name !== undefined && throttlingNames.has(name))) {
    const message = `The object storage asked to slow down (${said}).`
    return verdict({ kind: 'throttled', code: 'upload.store_throttled', message, afterMs: throttledMs })
  }
  if (status === undefined || status >= 500 || status < 300) return unavailable()
  if (name === 'EntityTooLarge') return refused('upload.too_large', 'The object storage does not accept a recording of this size')
  if (status === 401 || status === 403)
    return refused('upload.store_denied', 'The object storage refused the credentials or denied permission')
  if (status === 404) return refused('upload.bucket_not_found', 'The bucket does not exist')
  if (status === 409 || status === 412) return unavailable(true)
  return refused('upload.store_refused', 'The object storage refused the request')
}
