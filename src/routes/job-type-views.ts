// What answers tell of a job type.

import { type Static, Type } from '@sinclair/typebox'
import type { TypeVersion } from '../bullmq/registered/type-records.js'
import type { Config } from '../config/config.js'
import { Runs } from '../types/contracts/definition.js'
import type { JobType } from '../types/definition.js'
import { JobPriority } from '../types/job-schema.js'
import { QueueNameText } from '../types/queue-name.js'
import type { RegisteredType } from '../types/registry.js'
import { closed, Nullable, StringEnum, Time } from '../types/schema-parts.js'

const Version = Type.Integer({ minimum: 1, description: 'Counts from 1. A version never changes.' })
const Compatibility = StringEnum(['backward', 'none'])

export const JobTypeView = Type.Object(
  {
    type: Type.String({ description: 'Name, as in a submission.' }),
    version: Version,
    queue: QueueNameText(),
    description: Type.String(),
    runs: Nullable(Runs, { description: 'Who runs its jobs. Null for built-in job types, which workers of Jobgate run.' }),
    compatibility: Nullable(Compatibility, { description: 'Null for built-in job types.' }),
    available: Type.Boolean({
      description:
        'Whether a worker that is configured for it, or for some of its jobs, is running now. Submissions are accepted either way.',
    }),
    requires: Type.Array(Type.String(), { description: 'Integrations that a worker needs.' }),
    requiresOneOf: Type.Array(Type.String(), { description: 'Integrations of which a worker needs the one that the data names.' }),
    defaults: Type.Object(
      {
        attempts: Type.Integer(),
        backoff: Type.Object({ type: StringEnum(['fixed', 'exponential']), delayMs: Type.Integer() }, closed),
        priority: JobPriority,
        timeoutMs: Type.Integer(),
      },
      { ...closed, description: 'Defaults for submissions.' },
    ),
    dataSchema: Type.Any({ description: 'JSON Schema of `data`.' }),
    resultSchema: Type.Any({ description: 'JSON Schema of `result`; null when any result is allowed.' }),
    example: Type.Any({ description: 'A ready-to-send body for POST /v1/jobs.' }),
  },
  { $id: 'JobType', ...closed, description: 'A job type.' },
)
export type JobTypeView = Static<typeof JobTypeView>

const Fault = Type.Object({ pointer: Type.String(), detail: Type.String(), rule: Type.Optional(Type.String()) }, closed)

/** What a registration answers. */
export const RegisteredJobType = Type.Object(
  {
    ...JobTypeView.properties,
    warnings: Type.Array(Fault, {
      description: 'What is allowed and still worth knowing, such as a new value that workers may not know yet.',
    }),
  },
  { $id: 'RegisteredJobType', ...closed, description: 'A job type as it was registered.' },
)
export type RegisteredJobType = Static<typeof RegisteredJobType>

export const JobTypeVersion = Type.Object(
  {
    type: Type.String(),
    version: Version,
    createdAt: Time(),
    createdBy: Type.String({ description: 'ID of the API key that registered it; `module` for modules in JOB_TYPES_DIR.' }),
    definition: Type.Any({ description: 'The definition, as it was registered.' }),
  },
  { $id: 'JobTypeVersion', ...closed, description: 'A version of a job type.' },
)

export const toTypeView = (
  { type, version }: Pick<RegisteredType, 'type' | 'version'>,
  { config, available }: { config: Config; available: ReadonlySet<string> },
): JobTypeView => ({
  type: type.name,
  version,
  queue: type.queue,
  description: type.description,
  runs: type.registered?.runs ?? null,
  compatibility: type.registered?.compatibility ?? null,
  available: available.has(type.name),
  requires: [...type.requires],
  requiresOneOf: [...(type.requiresOneOf ?? [])],
  defaults: toDefaults(type, config),
  dataSchema: type.data,
  resultSchema: type.result ?? null,
  example: { type: type.name, data: type.example },
})

const toDefaults = ({ defaults }: JobType, { queues }: Config): JobTypeView['defaults'] => ({
  attempts: defaults.attempts ?? queues.defaultAttempts,
  backoff: defaults.backoff ?? { type: 'exponential', delayMs: queues.defaultBackoffMs },
  priority: defaults.priority,
  timeoutMs: defaults.timeoutMs,
})

export const toVersionView = (
  type: string,
  version: number,
  { definition, createdAt, createdBy }: TypeVersion,
): Static<typeof JobTypeVersion> => ({
  type,
  version,
  createdAt: new Date(createdAt).toISOString(),
  createdBy,
  definition,
})
