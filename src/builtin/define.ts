// How a built-in job type is defined: like any other, and with the integrations it names at hand, typed.

import type { TSchema } from '@sinclair/typebox'
import { defineJobType, type JobContext, type JobTypeDefinition } from '../types/definition.js'
import type { IntegrationName, Integrations } from './integrations.js'

/** Those in `requires` are present. */
type Opened<K extends IntegrationName> = Integrations & Required<Pick<Integrations, K>>

/** What the handler of a built-in type is given besides its data. */
export type BuiltinContext<K extends IntegrationName = never> = JobContext<Opened<K>>

interface Definition<D extends TSchema, R extends TSchema, K extends IntegrationName> extends JobTypeDefinition<D, R, Opened<K>> {
  readonly requires: readonly K[]
  readonly requiresOneOf?: readonly IntegrationName[]
}

/** Checks a definition's parts against each other; the types of `run` follow from its schemas and from `requires`. */
export const defineBuiltin = <D extends TSchema, R extends TSchema, K extends IntegrationName = never>(
  definition: Definition<D, R, K>,
): JobTypeDefinition<D, R, Opened<K>> => defineJobType(definition)
