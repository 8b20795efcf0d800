// The definition of a job type as its author writes it: contracts of data and result, an example, defaults, who does the work.

import { type Static, Type } from '@sinclair/typebox'
import { type FieldProblem, toFieldProblems } from '../field-problems.js'
import { JobOptions, JobPriority } from '../job-schema.js'
import { closed, Link, StringEnum, Text } from '../schema-parts.js'
import { createOwnValidator } from '../validator.js'
import type { Contract } from './contract.js'
import { defaultFaults } from './defaults.js'
import { type ContractFault, parseContract } from './parse.js'
import { createContractValidator } from './validator.js'

const { attempts, backoff, timeoutMs } = JobOptions.properties

const Runs = Type.Union([
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

const Body = Type.Object(
  {
    description: Text(1000),
    data: Type.Unknown(),
    result: Type.Optional(Type.Unknown()),
    example: Type.Unknown(),
    defaults: Type.Optional(
      Type.Object({ attempts, backoff, timeoutMs: Type.Optional(timeoutMs), priority: Type.Optional(JobPriority) }, closed),
    ),
    runs: Runs,
    compatibility: Type.Optional(StringEnum(['backward', 'none'])),
  },
  closed,
)

/** A definition that was read; `data` and `result` as contracts, all else as written. */
export interface TypeDefinition extends Omit<Static<typeof Body>, 'data' | 'result'> {
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

const validate = createOwnValidator(Body)

/** `body` may come from anybody; never throws. */
export const parseDefinition = (body: unknown): ParsedDefinition => {
  if (!validate(body)) return { kind: 'refused', faults: toFieldProblems(validate.errors ?? []) }
  const { data, result, ...rest } = body as Static<typeof Body>
  const parsed = { data: parseContract(data), result: result === undefined ? undefined : parseContract(result) }
  const faults = [...faultsBelow('data', parsed.data), ...faultsBelow('result', parsed.result)]
  if (faults.length > 0 || parsed.data.kind === 'refused') return { kind: 'refused', faults }
  const definition: TypeDefinition = {
    ...rest,
    data: parsed.data.contract,
    ...(parsed.result?.kind === 'contract' ? { result: parsed.result.contract } : {}),
  }
  const misfits = [...exampleFaults(definition), ...defaultFaults(definition.data).map((fault) => below('data', fault))]
  return misfits.length > 0 ? { kind: 'refused', faults: misfits } : { kind: 'definition', definition }
}

const below = (member: string, fault: ContractFault): DefinitionFault => ({ ...fault, pointer: `#/${member}${fault.pointer.slice(1)}` })

const faultsBelow = (member: string, parsed: ReturnType<typeof parseContract> | undefined): DefinitionFault[] =>
  parsed?.kind === 'refused' ? parsed.faults.map((fault) => below(member, fault)) : []

const exampleFaults = ({ data, example }: TypeDefinition): DefinitionFault[] => {
  const fits = createContractValidator(data)
  return fits(example) ? [] : toFieldProblems(fits.errors ?? [], 'body', '/example')
}
