// What clients see of a long operation.

import { Type } from '@sinclair/typebox'
import { queueNames } from '../types/job-schema.js'
import { closed, Nullable, StringEnum, Time } from '../types/schema-parts.js'
import { Count } from './queue-schema.js'
import { type Operation, operationIdPattern, operationKinds, operationStates } from './records.js'

export const OperationView = Type.Object(
  {
    id: Type.String({
      pattern: operationIdPattern,
      description: 'Id of the operation.',
      examples: ['op_0d4f6f0a7c5b4c0f9d1f2b3c4d5e6f70'],
    }),
    kind: StringEnum(operationKinds, { description: 'What it does.' }),
    queue: StringEnum(queueNames, { description: 'Where it does it.' }),
    state: StringEnum(operationStates, { description: 'How far it is; all but `running` are final.' }),
    by: Type.String({ description: 'Id of the API key that asked for it.' }),
    total: Count('Jobs to look at, as counted when it began.'),
    scanned: Count('Jobs looked at so far.'),
    affected: Count('Jobs changed so far.'),
    cancelRequested: Type.Boolean({ description: 'Whether it was told to stop.' }),
    ratePerSecond: Nullable(Type.Integer({ minimum: 1 }), { description: 'Jobs changed per second at most; null for no limit.' }),
    createdAt: Time({ description: 'When it was asked for.' }),
    finishedAt: Nullable(Time(), { description: 'When it ended; null before.' }),
  },
  { $id: 'Operation', ...closed, description: 'Long work on a queue. It is kept for 7 days after its end.' },
)
type OperationView = typeof OperationView.static
export const OperationRef = Type.Unsafe<OperationView>(Type.Ref('Operation'))

export const EstimateView = Type.Object(
  {
    dryRun: Type.Literal(true, { description: 'Nothing was changed.' }),
    kind: StringEnum(operationKinds, { description: 'What it would do.' }),
    queue: StringEnum(queueNames, { description: 'Where it would do it.' }),
    affected: Count('Jobs that it would change now.'),
    isExact: Type.Boolean({ description: 'false when there are more jobs than a dry run looks at: `affected` is then a lower bound.' }),
  },
  { $id: 'OperationEstimate', ...closed, description: 'What an operation would do.' },
)
export const EstimateRef = Type.Unsafe<typeof EstimateView.static>(Type.Ref('OperationEstimate'))

export const DryRunQuery = Type.Object(
  { dryRun: Type.Boolean({ default: false, description: 'Only say how many jobs it would change.' }) },
  closed,
)

export const toOperationView = (operation: Operation): OperationView => ({
  id: operation.id,
  kind: operation.kind,
  queue: operation.queue,
  state: operation.state,
  by: operation.by,
  total: operation.total,
  scanned: operation.scanned,
  affected: operation.affected,
  cancelRequested: operation.cancelRequested,
  ratePerSecond: operation.request.ratePerSecond ?? null,
  createdAt: new Date(operation.createdAt).toISOString(),
  finishedAt: operation.finishedAt === null ? null : new Date(operation.finishedAt).toISOString(),
})
