// Checks data against its job type where no request does: schema first, then what the schema cannot see.

import type { JobType, SubmissionCheck } from './definition.js'
import type { FieldProblem } from './field-problems.js'
import { type SchemaError, toFieldProblems } from './field-problems.js'
import { validatorCompilers } from './validator.js'

/** Gives what is wrong with data, with pointers into `#/data`; nothing: they fit. Each schema is compiled once. */
export const createDataChecks = () => {
  const compile = validatorCompilers({})
  const validators = new Map<string, ReturnType<typeof compile>>()
  return (type: JobType, data: unknown, check: SubmissionCheck): FieldProblem[] => {
    let validate = validators.get(type.name)
    if (!validate) {
      validate = compile({ schema: type.data })
      validators.set(type.name, validate)
    }
    return validate(data)
      ? (type.check?.(data, check) ?? [])
      : toFieldProblems((validate.errors ?? []) as unknown as SchemaError[], 'body', '/data')
  }
}
