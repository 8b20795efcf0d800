// What a client submits: its envelope, which is the same for every job type, and the check of a body against envelope and type.

import { type TSchema, Type } from '@sinclair/typebox'
import { isObject } from '../runtime/json-text.js'
import type { SchemaError } from './field-problems.js'
import { type FollowUp, followUpsMax, ResultInto } from './follow-up.js'
import { CorrelationId, JobOptions, Metadata, UserId } from './job-schema.js'
import type { JobTypes, RegisteredType } from './registry.js'
import { closed } from './schema-parts.js'
import { createOwnValidator, isThorough, type Validate } from './validator.js'

/** A body of POST /v1/jobs that fits. */
export interface Submission {
  readonly type: string
  readonly data: unknown
  readonly options?: JobOptions
  readonly userId?: string
  readonly correlationId?: string
  readonly metadata?: Metadata
  readonly followUps?: readonly FollowUp[]
}

/** An item of a batch: a submission that may bring its own key. */
export interface BatchItem extends Submission {
  readonly idempotencyKey?: string
}

type Members = Readonly<Record<string, TSchema>>

/** What a follow-up has besides its type and data. */
export const followUpMembers = { options: Type.Optional(JobOptions), resultInto: Type.Optional(ResultInto) } as const satisfies Members

/** What a submission has besides its type and data; `followUp` is the schema of each entry of `followUps`. */
export const toSubmissionMembers = (followUp: TSchema) => ({
  options: Type.Optional(JobOptions),
  userId: Type.Optional(UserId),
  correlationId: Type.Optional(CorrelationId),
  metadata: Type.Optional(Metadata),
  followUps: Type.Optional(
    Type.Array(followUp, {
      minItems: 1,
      maxItems: followUpsMax,
      description: 'Jobs to submit once this one completes, each once, with parts of its result. None if it fails.',
    }),
  ),
})

/** What an item of a batch has besides the members of a submission. */
export const batchItemMembers = {
  idempotencyKey: Type.Optional(
    Type.String({
      minLength: 1,
      maxLength: 255,
      pattern: '^[\\x20-\\x7e]+$',
      description: 'Idempotency key of this item, with the same rules as the Idempotency-Key header. Overrides the header of the batch.',
    }),
  ),
} as const satisfies Members

const toEnvelope = (members: Members): Validate =>
  createOwnValidator(Type.Object({ type: Type.String(), data: Type.Unknown(), ...members }, closed))

/** Under which version the data of a body were found to fit; of types that may change while the process runs. */
const checkedUnder = new WeakMap<object, RegisteredType>()

/** Whether the data of this very object were found to fit this very version of its type. */
export const isChecked = (submission: Submission, registered: RegisteredType): boolean =>
  registered.type.registered === undefined || checkedUnder.get(submission) === registered

/**
 * Checks bodies that are submissions with `members` besides: first whether the type is registered, then the envelope, then data
 * against the schema of the type, and follow-ups alike. Of a type that is not registered nothing else is said.
 */
export const createSubmissionValidator = (jobTypes: JobTypes, members: Members = {}): Validate => {
  const submission = toEnvelope({ ...toSubmissionMembers(Type.Unknown()), ...members })
  const followUp = toEnvelope(followUpMembers)

  /** Null: it fits. */
  const findFaults = (job: unknown, envelope: Validate): readonly SchemaError[] | null => {
    const name = isObject(job) ? job['type'] : undefined
    const registered = typeof name === 'string' ? jobTypes.get(name) : undefined
    if (!isObject(job) || !registered) return [toTypeFault(job, name)]
    const { data, followUps } = job
    const isEnvelope = envelope(job)
    const ofEnvelope = envelope.errors ?? []
    if (!isEnvelope && !isThorough(job)) return ofEnvelope
    const fits = data === undefined || registered.validate(data)
    if (fits && registered.type.registered) checkedUnder.set(job, registered)
    if (isEnvelope && fits && followUps === undefined) return null
    const ofData = fits ? [] : toMemberFaults('/data', registered.validate.errors)
    const ofFollowUps = Array.isArray(followUps)
      ? followUps.slice(0, followUpsMax).flatMap((each, step) => toMemberFaults(`/followUps/${step}`, findFaults(each, followUp)))
      : []
    const isMissingOrUnknown = ({ instancePath }: SchemaError) => instancePath === ''
    const faults = [
      ...ofEnvelope.filter(isMissingOrUnknown),
      ...ofData,
      ...ofEnvelope.filter((error) => !isMissingOrUnknown(error)),
      ...ofFollowUps,
    ]
    return faults.length > 0 ? faults : null
  }

  const validate: Validate = (body) => {
    validate.errors = findFaults(body, submission)
    return validate.errors === null
  }
  return validate
}

/** In the words of Ajv, like every other fault. */
const toTypeFault = (job: unknown, name: unknown): SchemaError => {
  const at = { instancePath: '', schemaPath: '#/type' }
  if (!isObject(job)) return { ...at, keyword: 'type', message: 'must be object' }
  if (name === undefined) return { ...at, keyword: 'required', params: { missingProperty: 'type' } }
  return { ...at, keyword: 'discriminator', params: { error: typeof name === 'string' ? 'mapping' : 'tag', tag: 'type' } }
}

const toMemberFaults = (member: string, errors: readonly SchemaError[] | null | undefined): SchemaError[] =>
  (errors ?? []).map((error) => ({ ...error, instancePath: `${member}${error.instancePath}` }))
