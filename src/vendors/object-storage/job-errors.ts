// What can go wrong with an upload: the job errors of object stores and of the sources of recordings.

import type { JobErrorTable } from '../../types/job-errors.js'

export const uploadErrors = {
  'upload.source_blocked': {
    retryable: false,
    meaning: 'The address of the recording may not be fetched: it is not public, or not permitted here.',
  },
  'upload.source_refused': {
    retryable: false,
    meaning: 'The source does not hand out the recording: a 4xx, which an expired address gives too, or redirects without end.',
  },
  'upload.source_unavailable': { retryable: true, meaning: 'The source of the recording did not answer, or answered 429 or 5xx.' },
  'upload.source_interrupted': { retryable: true, meaning: 'The source stopped before the recording was complete.' },
  'upload.too_large': { retryable: false, meaning: 'The recording is larger than UPLOAD_MAX_BYTES or than the store accepts.' },
  'upload.type_refused': { retryable: false, meaning: 'The media type of the recording is not in UPLOAD_CONTENT_TYPES.' },
  'upload.size_mismatch': {
    retryable: false,
    meaning: 'The recording is larger than sizeBytes says, or its source announces another size.',
  },
  'upload.hash_mismatch': { retryable: true, meaning: 'The bytes of the recording do not have the sha256 that the job names.' },
  'upload.object_conflict': { retryable: false, meaning: 'Another object has this name and overwrite is not set.' },
  'upload.store_denied': { retryable: false, meaning: 'The object store refused the credentials or the permission.' },
  'upload.bucket_not_found': { retryable: false, meaning: 'The bucket does not exist.' },
  'upload.store_refused': { retryable: false, meaning: 'The object store refused the request for good.' },
  'upload.store_unavailable': { retryable: true, meaning: 'The object store did not answer, or answered 5xx.' },
  'upload.store_throttled': { retryable: true, meaning: 'The object store asked to slow down.' },
  'upload.outcome_unknown': {
    retryable: true,
    meaning: 'The last request to the store got no answer; the next attempt looks whether the object is there.',
  },
  'upload.busy': { retryable: true, meaning: 'This worker runs as many uploads as UPLOAD_CONCURRENCY allows.' },
} as const satisfies JobErrorTable

export type UploadErrorCode = keyof typeof uploadErrors
