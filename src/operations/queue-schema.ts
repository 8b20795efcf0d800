// Shapes that the operators' routes share.

import { type TSchema, Type } from '@sinclair/typebox'
import { type QueueName, queueNames } from '../types/job-schema.js'
import { closed } from '../types/schema-parts.js'

export const operatorTags = ['operators']

/** Any text is let through: an unknown queue is 404 and not a fault of form. */
export const QueueParam = Type.String({
  minLength: 1,
  maxLength: 64,
  description: `Name of a queue: ${queueNames.map((name) => `\`${name}\``).join(', ')}.`,
  examples: [...queueNames],
})

export const QueueParams = Type.Object({ queue: QueueParam }, closed)

/** One member for each queue. */
export const PerQueue = <T extends TSchema>(schema: T, description: string) =>
  Type.Object(Object.fromEntries(queueNames.map((name) => [name, schema])) as Record<QueueName, T>, { ...closed, description })

export const Count = (description: string) => Type.Integer({ minimum: 0, description })
