// Jobs that a submission brings with it, to be submitted once its own job has done its work.

import { Type } from '@sinclair/typebox'
import type { JobOptions } from './job-schema.js'

/** Most jobs that can follow one. */
export const followUpsMax = 10
const resultIntoMax = 50
const pointerCharsMax = 512

/** JSON Pointers (RFC 6901) into `data` of the follow-up, each with one into the result; the empty one is the whole result. */
export const ResultInto = Type.Record(
  Type.String({ pattern: '^(?:/(?:[^/~]|~[01])*)+$', maxLength: pointerCharsMax }),
  Type.String({ pattern: '^(?:/(?:[^/~]|~[01])*)*$', maxLength: pointerCharsMax }),
  {
    maxProperties: resultIntoMax,
    additionalProperties: false,
    description: [
      "Maps JSON Pointers into `data` to JSON Pointers into the previous job's result; an empty pointer selects the entire result. When that",
      'job completes, these members of `data` are replaced with values from the result. They must exist from the start, with values that',
      'match the schema.',
    ].join(' '),
  },
)

/** One job to follow. */
export interface FollowUp {
  readonly type: string
  readonly data: unknown
  readonly options?: JobOptions
  /** Pointer into `data` → pointer into the result. */
  readonly resultInto?: Readonly<Record<string, string>>
}
