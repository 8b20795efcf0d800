// Checks a value against a schema the way bodies of requests are checked.

import { validatorCompilers } from '../../src/types/validator.js'

const compile = validatorCompilers({})

/** What is wrong with the value; an empty list when it fits. */
export const schemaFaults = (schema: unknown, value: unknown): unknown[] => {
  const validate = compile({ schema })
  return validate(value) ? [] : (validate.errors as unknown[])
}
