// Shapes that the operators' routes share.

import { type Static, type TSchema, Type } from '@sinclair/typebox'
import { builtinQueues, type QueueName } from '../types/queue-name.js'
import { closed } from '../types/schema-parts.js'

export const operatorTags = ['operators']

/** Any text is let through: an unknown queue is 404 and not a fault of form. */
export const QueueParam = Type.String({
  minLength: 1,
  maxLength: 64,
  description: 'Name of a queue; GET /admin/queues lists them.',
  examples: [...builtinQueues],
})

export const QueueParams = Type.Object({ queue: QueueParam }, closed)

/** One member for each queue, by its name. */
export const PerQueue = <T extends TSchema>(schema: T, description: string) =>
  Type.Unsafe<Record<QueueName, Static<T>>>({ type: 'object', additionalProperties: schema, description })

export const Count = (description: string) => Type.Integer({ minimum: 0, description })
