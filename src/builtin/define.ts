// How a built-in job type is defined: like any other, and with the integrations it names at hand, typed.

import type { Static, TSchema } from '@sinclair/typebox'
import { defineJobType, type JobContext, type JobOutcome, type RunnableDefinition, type SubmissionCheck } from '../types/definition.js'
import type { FieldProblem } from '../types/field-problems.js'
import type { BuiltinConfig } from './config.js'
import type { IntegrationName, Integrations } from './integrations.js'
import type { BuiltinErrorCode } from './job-errors.js'

/** Those in `requires` are present. */
type Opened<K extends IntegrationName> = Integrations & Required<Pick<Integrations, K>>

/** What the handler of a built-in type is given besides its data. */
export type BuiltinContext<K extends IntegrationName = never> = JobContext<Opened<K>>

/** How an attempt of a built-in type ends: with codes that are in the list. */
export type BuiltinOutcome<R> = JobOutcome<R, BuiltinErrorCode>

/** What submissions of a built-in type are checked against beyond their schema. */
export interface BuiltinCheck extends SubmissionCheck {
  readonly config: BuiltinConfig
}

interface Definition<D extends TSchema, R extends TSchema, K extends IntegrationName> extends RunnableDefinition<D, R, Opened<K>> {
  readonly requires: readonly K[]
  readonly requiresOneOf?: readonly IntegrationName[]
  check?(data: Static<D>, check: BuiltinCheck): FieldProblem[]
  run(data: Static<D>, ctx: BuiltinContext<K>): Promise<BuiltinOutcome<Static<R>>>
}

/** Checks a definition's parts against each other; the types of `run` follow from its schemas and from `requires`. */
export const defineBuiltin = <D extends TSchema, R extends TSchema, K extends IntegrationName = never>(
  definition: Definition<D, R, K>,
): RunnableDefinition<D, R, Opened<K>> => defineJobType(definition)
