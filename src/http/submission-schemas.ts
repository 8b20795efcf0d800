// The schema of a submission: one closed object for each job type, told apart by `type`.

import { type TObject, type TSchema, Type } from '@sinclair/typebox'
import type { ScheduleDefinition } from '../schedules/checks.js'
import { ScheduleOptions, scheduleMembers } from '../schedules/schema.js'
import type { JobType } from '../types/definition.js'
import { type FollowUp, followUpsMax, ResultInto } from '../types/follow-up.js'
import { CorrelationId, JobOptions, Metadata, UserId } from '../types/job-schema.js'
import { closed } from '../types/schema-parts.js'
import type { Submission } from '../types/submission.js'

const toPascalCase = (name: string): string => name.replace(/(?:^|-)([a-z])/g, (_match, letter: string) => letter.toUpperCase())

/** What the data of one job type may look like: named, and its branches too, since documents tell branches apart by their names. */
const toDataSchemas = (type: JobType): { data: TSchema; branches: TSchema[] } => {
  const name = toPascalCase(type.name)
  const { discriminator, oneOf } = type.data as { discriminator?: { propertyName: string }; oneOf?: TSchema[] }
  if (!discriminator || !oneOf) return { data: { ...type.data, $id: `${name}Data` }, branches: [] }
  const branches = oneOf.map((branch) => {
    const tag = (branch as TObject).properties[discriminator.propertyName] as { const?: string; enum?: string[] }
    return { ...branch, $id: `${name}${toPascalCase((tag.const ?? tag.enum?.[0]) as string)}Data` } as TSchema
  })
  const data = { ...type.data, $id: `${name}Data`, oneOf: branches.map(({ $id }) => Type.Ref($id as string)) } as TSchema
  return { data, branches }
}

const toSchema = (type: JobType, suffix: string, more: Record<string, TSchema>): TObject => {
  const name = toPascalCase(type.name)
  return Type.Object(
    {
      type: Type.Unsafe<string>({ type: 'string', enum: [type.name] }),
      data: Type.Ref(`${name}Data`),
      options: Type.Optional(Type.Ref(JobOptions.$id as string)),
      ...more,
    },
    { $id: `${name}${suffix}`, ...closed, description: type.description },
  )
}

const followUpId = 'JobFollowUp'

const toSubmissionSchema = (type: JobType, suffix: string, more: Record<string, TSchema> = {}): TObject =>
  toSchema(type, suffix, {
    userId: Type.Optional(UserId),
    correlationId: Type.Optional(CorrelationId),
    metadata: Type.Optional(Type.Ref(Metadata.$id as string)),
    followUps: Type.Optional(
      Type.Array(Type.Ref(followUpId), {
        minItems: 1,
        maxItems: followUpsMax,
        description: 'Jobs to submit once this one has done its work, each once, with parts of its result. None when it fails.',
      }),
    ),
    ...more,
  })

/** A union told apart by `type`. Not TypeBox's Union: that emits `anyOf`, which Ajv's discriminator refuses. */
const toUnion = <T>(id: string, schemas: readonly TSchema[], description: string) =>
  Type.Unsafe<T>({
    $id: id,
    type: 'object',
    required: ['type'],
    discriminator: { propertyName: 'type' },
    oneOf: schemas.map(({ $id }) => Type.Ref($id as string)),
    description,
  })

/** An item of a batch: a submission that may bring its own key. */
export interface BatchItem extends Submission {
  readonly idempotencyKey?: string
}

/** All schemas that have to be registered, and the unions over them. */
export const createSubmissionSchemas = (types: readonly JobType[]) => {
  const idempotencyKey = Type.Optional(
    Type.String({
      minLength: 1,
      maxLength: 255,
      pattern: '^[\\x20-\\x7e]+$',
      description: 'The key of this item, under the rules of the Idempotency-Key header; goes before the header of the batch.',
    }),
  )
  const single = types.map((type) => toSubmissionSchema(type, 'Submission'))
  const items = types.map((type) => toSubmissionSchema(type, 'BatchItem', { idempotencyKey }))
  const submission = toUnion<Submission>('JobSubmission', single, 'A job to accept; `type` decides which data it takes.')
  const batchItem = toUnion<BatchItem>('JobBatchItem', items, 'One submission of a batch.')
  const schedules = types.map((type) =>
    toSubmissionSchema(type, 'Schedule', { options: Type.Optional(Type.Ref(ScheduleOptions.$id as string)), ...scheduleMembers }),
  )
  const schedule = toUnion<ScheduleDefinition>('JobSchedule', schedules, 'A job that recurs; `type` decides which data it takes.')
  const followUps = types.map((type) => toSchema(type, 'FollowUp', { resultInto: Type.Optional(ResultInto) }))
  const followUp = toUnion<FollowUp>(followUpId, followUps, 'A job to submit after another one; `type` decides which data it takes.')
  const data = types.map(toDataSchemas).flatMap(({ data, branches }) => [...branches, data])
  const shared = [...data, ...followUps, followUp, ...single, ...items, ...schedules, submission, batchItem, schedule]
  return { shared, submission, batchItem, schedule }
}

/** The example body of one job type, as it can be sent. */
export const toExampleSubmission = (type: JobType): Submission => ({ type: type.name, data: type.example })
