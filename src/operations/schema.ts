// What clients see of a long operation.

import { Type } from '@sinclair/typebox'
import { QueueNameText } from '../types/queue-name.js'
import { closed, Nullable, StringEnum, Time } from '../types/schema-parts.js'
import { Count } from './queue-schema.js'
import { type Operation, operationIdPattern, operationKinds, operationStates } from './records.js'

export const OperationView = Type.Object(
  {
    id: Type.String({
      pattern: operationIdPattern,
      description: 'ID of the operation.',
      examples: ['op_0d4f6f0a7c5b4c0f9d1f2b3c4d5e6f70'],
    }),
    kind: StringEnum(operationKinds, { description: 'What the operation does.' }),
    queue: QueueNameText({ description: 'Queue it works on.' }),
    state: StringEnum(operationStates, { description: 'State of the operation; all states except `running` are final.' }),
    by: Type.String({ description: 'ID of the API key that requested it.' }),
    total: Count('Number of jobs to process, counted at the start.'),
    scanned: Count('Number of jobs processed so far.'),
    affected: Count('Number of jobs changed so far.'),
    cancelRequested: Type.Boolean({ description: 'Whether a stop was requested.' }),
    ratePerSecond: Nullable(Type.Integer({ minimum: 1 }), { description: 'Maximum number of jobs changed per second; null for no limit.' }),
    createdAt: Time({ description: 'When it was requested.' }),
    finishedAt: Nullable(Time(), { description: 'When it ended; null until then.' }),
  },
  { $id: 'Operation', ...closed, description: 'Long-running work on a queue. It is retained for 7 days after it ends.' },
)
type OperationView = typeof OperationView.static
export const OperationRef = Type.Unsafe<OperationView>(Type.Ref('Operation'))

export const EstimateView = Type.Object(
  {
    dryRun: Type.Literal(true, { description: 'Nothing was changed.' }),
    kind: StringEnum(operationKinds, { description: 'What the operation would do.' }),
    queue: QueueNameText({ description: 'Queue it would work on.' }),
    affected: Count('Number of jobs it would change now.'),
    isExact: Type.Boolean({ description: 'false if there are more jobs than a dry run counts; `affected` is then a lower bound.' }),
  },
  { $id: 'OperationEstimate', ...closed, description: 'What an operation would do.' },
)
export const EstimateRef = Type.Unsafe<typeof EstimateView.static>(Type.Ref('OperationEstimate'))

export const DryRunQuery = Type.Object(
  { dryRun: Type.Boolean({ default: false, description: 'Only return how many jobs it would change.' }) },
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
