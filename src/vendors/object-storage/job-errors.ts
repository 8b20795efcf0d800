// What can go wrong with an upload: the job errors of object stores and of the sources of recordings.

import type { JobErrorTable } from '../../types/job-errors.js'

export const uploadErrors = {
  'upload.source_blocked': {
    retryable: false,
    meaning: 'The URL of the recording cannot be fetched because it is not public or not allowed.',
  },
  'upload.source_refused': {
    retryable: false,
    meaning: 'The source does not serve the recording: it returned a 4xx, as expired URLs do, or redirected endlessly.',
  },
  'upload.source_unavailable': { retryable: true, meaning: 'The source of the recording did not respond, or returned 429 or 5xx.' },
  'upload.source_interrupted': { retryable: true, meaning: 'The source stopped before the recording was complete.' },
  'upload.too_large': { retryable: false, meaning: 'The recording is larger than UPLOAD_MAX_BYTES or than the object storage accepts.' },
  'upload.type_refused': { retryable: false, meaning: 'The media type of the recording is not in UPLOAD_CONTENT_TYPES.' },
  'upload.size_mismatch': {
    retryable: false,
    meaning: 'The recording is larger than sizeBytes, or its source reports a different size.',
  },
  'upload.hash_mismatch': { retryable: true, meaning: "The recording does not match the job's sha256." },
  'upload.object_conflict': { retryable: false, meaning: 'A different object has this name, and overwrite is not set.' },
  'upload.store_denied': { retryable: false, meaning: 'The object storage refused the credentials or denied permission.' },
  'upload.bucket_not_found': { retryable: false, meaning: 'The bucket does not exist.' },
  'upload.store_refused': { retryable: false, meaning: 'The object storage permanently refused the request.' },
  'upload.store_unavailable': { retryable: true, meaning: 'The object storage did not respond, or returned 5xx.' },
  'upload.store_throttled': { retryable: true, meaning: 'The object storage asked to slow down.' },
  'upload.outcome_unknown': {
    retryable: true,
    meaning: 'The last request to the object storage got no response; the next attempt checks whether the object exists.',
  },
  'upload.busy': { retryable: true, meaning: 'This worker has reached UPLOAD_CONCURRENCY.' },
} as const satisfies JobErrorTable

export type UploadErrorCode = keyof typeof uploadErrors
