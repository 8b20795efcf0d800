// Submissions as the document describes them: one closed object for each job type, told apart by `type`. Checked they are elsewhere.

import { type TObject, type TSchema, Type } from '@sinclair/typebox'
import type { ScheduleDefinition } from '../../schedules/checks.js'
import { ScheduleOptions, scheduleMembers } from '../../schedules/schema.js'
import type { JobType } from '../../types/definition.js'
import type { FollowUp } from '../../types/follow-up.js'
import type { JobTypes } from '../../types/registry.js'
import { closed } from '../../types/schema-parts.js'
import {
  type BatchItem,
  batchItemMembers,
  createSubmissionValidator,
  followUpMembers,
  type Submission,
  toSubmissionMembers,
} from '../../types/submission.js'
import type { Validate } from '../../types/validator.js'

/** `resize-image` becomes `ResizeImage`; no two names of job types become the same. */
export const toPascalCase = (name: string): string => name.replace(/(?:^|-)([a-z])/g, (_match, letter: string) => letter.toUpperCase())

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

/** Members that have a name of their own are described once, under it. */
const toNamed = (members: Readonly<Record<string, TSchema>>): Record<string, TSchema> =>
  Object.fromEntries(Object.entries(members).map(([name, schema]) => [name, schema.$id ? Type.Optional(Type.Ref(schema.$id)) : schema]))

const toSchema = (
  type: Pick<JobType, 'name' | 'description'>,
  suffix: string,
  members: Readonly<Record<string, TSchema>>,
  name = toPascalCase(type.name),
): TObject =>
  Type.Object(
    {
      type: Type.Unsafe<string>({ type: 'string', enum: [type.name] }),
      data: Type.Ref(`${name}Data`),
      ...toNamed(members),
    },
    { $id: `${name}${suffix}`, ...closed, description: type.description },
  )

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

const followUpId = 'JobFollowUp'
const scheduleOverrides = { options: Type.Optional(ScheduleOptions), ...scheduleMembers }
const members = toSubmissionMembers(Type.Ref(followUpId))

/** What one job type adds to the document besides its data: the union that lists it, the end of the name, the members. */
const envelopes = [
  { union: 'JobSubmission', suffix: 'Submission', members },
  { union: 'JobBatchItem', suffix: 'BatchItem', members: { ...members, ...batchItemMembers } },
  { union: 'JobSchedule', suffix: 'Schedule', members: { ...members, ...scheduleOverrides } },
  { union: followUpId, suffix: 'FollowUp', members: followUpMembers },
] as const satisfies readonly { union: string; suffix: string; members: Readonly<Record<string, TSchema>> }[]

/** The unions that list every job type. */
export const jobUnions: readonly string[] = envelopes.map(({ union }) => union)

/**
 * The bodies of one job type, its data under `<name>Data`; `name` begins the names of all of them.
 * References are names of schemas, not yet places in a document.
 */
export const toEnvelopes = (type: Pick<JobType, 'name' | 'description'>, name: string): { union: string; schema: TObject }[] =>
  envelopes.map(({ union, suffix, members }) => ({ union, schema: toSchema(type, suffix, members, name) }))

/**
 * The unions over all built-in job types, all schemas that the document needs for them, and what checks bodies instead of them, by `$id`.
 * Types that are registered at run time come and go: the document that is served adds them, see `documents/live-document.ts`.
 */
export const createSubmissionSchemas = (jobTypes: JobTypes) => {
  const types = jobTypes.all.filter(({ registered }) => !registered)
  const [single, items, schedules, followUps] = envelopes.map(({ suffix, members }) =>
    types.map((type) => toSchema(type, suffix, members)),
  ) as [TObject[], TObject[], TObject[], TObject[]]
  const submission = toUnion<Submission>('JobSubmission', single, 'A job to accept; `type` determines its data.')
  const batchItem = toUnion<BatchItem>('JobBatchItem', items, 'One submission of a batch.')
  const schedule = toUnion<ScheduleDefinition>('JobSchedule', schedules, 'A recurring job; `type` determines its data.')
  const followUp = toUnion<FollowUp>(followUpId, followUps, 'A job to submit after another one; `type` determines its data.')
  const data = types.map(toDataSchemas).flatMap(({ data, branches }) => [...branches, data])
  const shared = [...data, ...followUps, followUp, ...single, ...items, ...schedules, submission, batchItem, schedule]
  const checks: ReadonlyMap<string, Validate> = new Map([
    [submission.$id as string, createSubmissionValidator(jobTypes)],
    [schedule.$id as string, createSubmissionValidator(jobTypes, scheduleOverrides)],
  ])
  return {
    shared,
    submission,
    batchItem,
    schedule,
    checks,
    documentOnly: new Set(shared.map(({ $id }) => $id as string)),
    checkBatchItem: createSubmissionValidator(jobTypes, batchItemMembers),
  }
}

/** The example body of one job type, as it can be sent. */
export const toExampleSubmission = (type: JobType): Submission => ({ type: type.name, data: type.example })

/** The example body of a schedule of one job type. */
export const toExampleSchedule = (type: JobType) => ({ ...toExampleSubmission(type), cron: '0 9 * * MON-FRI', timezone: 'Asia/Shanghai' })
