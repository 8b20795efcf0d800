// The definition of a job type as its author writes it: contracts of data and result, an example, defaults, who does the work.

import { type Static, Type } from '@sinclair/typebox'
import { type FieldProblem, toFieldProblems } from '../field-problems.js'
import { JobOptions, JobPriority } from '../job-schema.js'
import { closed, Link, StringEnum, Text } from '../schema-parts.js'
import { createOwnValidator } from '../validator.js'
import type { Contract } from './contract.js'
import { defaultFaults } from './defaults.js'
import { type ContractFault, parseContract } from './parse.js'
import { sensitiveFaults } from './sensitive-paths.js'
import { createContractValidators } from './validator.js'

const { attempts, backoff, timeoutMs } = JobOptions.properties

/** Who runs the jobs of a type: programs that lease them, workers of Jobgate that send them or have a module, workers of BullMQ. */
export const Runs = Type.Union([
  Type.Object({ by: StringEnum(['pull', 'module']) }, closed),
  Type.Object(
    {
      by: StringEnum(['push']),
      url: Link(),
      concurrency: Type.Integer({ minimum: 1, maximum: 1000 }),
      ratePerSecond: Type.Optional(Type.Number({ exclusiveMinimum: 0, maximum: 10_000 })),
      timeoutMs,
    },
    closed,
  ),
  Type.Object(
    {
      by: StringEnum(['bullmq']),
      queue: Type.Optional(Type.String({ minLength: 1, maxLength: 128 })),
      prefix: Type.Optional(Type.String({ minLength: 1, maxLength: 128 })),
    },
    closed,
  ),
])

export type Runs = Static<typeof Runs>

/** As its author sends it. What `data` and `result` may hold is checked by hand: see `parse.ts`. */
export const JobTypeDefinition = Type.Object(
  {
    description: Text(1000, { description: 'What a job of this type does, for callers.' }),
    data: Type.Unknown({
      description: 'The contract of `data`: JSON Schema 2020-12, in the subset of docs/own-job-types.md. Objects are closed.',
    }),
    result: Type.Optional(Type.Unknown({ description: 'The contract of results, likewise. Without it any result is allowed.' })),
    example: Type.Unknown({ description: 'Data that fit the contract, shown ready to send.' }),
    defaults: Type.Optional(
      Type.Object(
        { attempts, backoff, timeoutMs: Type.Optional(timeoutMs), priority: Type.Optional(JobPriority) },
        { ...closed, description: 'Options of jobs whose submission names none.' },
      ),
    ),
    runs: Runs,
    compatibility: Type.Optional(
      StringEnum(['backward', 'none'], {
        description: '`backward` (default): whatever fits an earlier version that is still in use has to fit this one.',
      }),
    ),
  },
  { $id: 'JobTypeDefinition', ...closed, description: 'A job type to register.' },
)
export type JobTypeDefinition = Static<typeof JobTypeDefinition>

/** A definition that was read; `data` and `result` as contracts, all else as written. */
export interface TypeDefinition extends Omit<Static<typeof JobTypeDefinition>, 'data' | 'result'> {
  readonly data: Contract
  readonly result?: Contract
}

/** What keeps a definition from being one; `rule` names the bound that a contract breaks. */
export interface DefinitionFault extends FieldProblem {
  readonly rule?: string
}

export type ParsedDefinition =
  | { readonly kind: 'definition'; readonly definition: TypeDefinition }
  | { readonly kind: 'refused'; readonly faults: readonly DefinitionFault[] }

const validate = createOwnValidator(JobTypeDefinition)

/** `body` may come from anybody; never throws. */
export const parseDefinition = (body: unknown): ParsedDefinition => {
  if (!validate(body)) return { kind: 'refused', faults: toFieldProblems(validate.errors ?? []) }
  const { data, result, ...rest } = body as Static<typeof JobTypeDefinition>
  const parsed = { data: parseContract(data), result: result === undefined ? undefined : parseContract(result) }
  const faults = [...faultsBelow('data', parsed.data), ...faultsBelow('result', parsed.result)]
  if (faults.length > 0 || parsed.data.kind === 'refused') return { kind: 'refused', faults }
  const definition: TypeDefinition = {
    ...rest,
    data: parsed.data.contract,
    ...(parsed.result?.kind === 'contract' ? { result: parsed.result.contract } : {}),
  }
  const misfits = [
    ...exampleFaults(definition),
    ...[...defaultFaults(definition.data), ...sensitiveFaults(definition.data)].map((fault) => below('data', fault)),
  ]
  return misfits.length > 0 ? { kind: 'refused', faults: misfits } : { kind: 'definition', definition }
}

const below = (member: string, fault: ContractFault): DefinitionFault => ({ ...fault, pointer: `#/${member}${fault.pointer.slice(1)}` })

const faultsBelow = (member: string, parsed: ReturnType<typeof parseContract> | undefined): DefinitionFault[] =>
  parsed?.kind === 'refused' ? parsed.faults.map((fault) => below(member, fault)) : []

/** An example is small, or none. */
const exampleSteps = 50_000

const exampleFaults = ({ data, example }: TypeDefinition): DefinitionFault[] => {
  const fits = createContractValidators({ steps: exampleSteps })(data)
  return fits(example) ? [] : toFieldProblems(fits.errors ?? [], 'body', '/example')
}
