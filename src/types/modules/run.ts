// One attempt of a job type from a module: what its author returns or throws becomes an outcome.

import { fillDefaults } from '../contracts/defaults.js'
import type { TypeDefinition } from '../contracts/definition.js'
import { createContractValidator } from '../contracts/validator.js'
import { defer, done, fail, type JobContext, type JobOutcome, type RunnableJobType } from '../definition.js'
import { toFieldProblems } from '../field-problems.js'
import { type JobErrorCode, jobErrors } from '../job-errors.js'
import type { Validate } from '../validator.js'
import { isJobEnd, type JobEnd, type JobTypeContext, type JobTypeModule } from './job-type.js'

const faultsShown = 3

/** Data that a job was accepted with by an earlier version of the module get the defaults of this one. */
export const createRun = (module: JobTypeModule, { data: contract, result }: TypeDefinition): RunnableJobType['run'] => {
  const fitsData = createContractValidator(contract)
  const fitsResult = result && createContractValidator(result)
  return async (stored, ctx) => {
    const data = fillDefaults(contract, stored)
    if (!fitsData(data)) return misfit('invalid_data', fitsData)
    const returned = await ended(() => module.run(data, toModuleContext(ctx)))
    if (isJobEnd(returned)) return toOutcome(returned)
    const written = toJson(returned)
    if (written === undefined) return fail('invalid_result', `${jobErrors.invalid_result.meaning} It cannot be written as JSON.`)
    if (fitsResult && !fitsResult(written.value)) return misfit('invalid_result', fitsResult)
    return done(written.value)
  }
}

/** What `run` returns, or the end that it throws. Rejects with whatever else it throws. */
const ended = async (run: () => unknown): Promise<unknown> => {
  try {
    return await run()
  } catch (error) {
    if (isJobEnd(error)) return error
    throw error
  }
}

const toOutcome = ({ kind, code, message, afterMs = 0 }: JobEnd): JobOutcome => {
  switch (kind) {
    case 'fail':
      return { kind, code, message, retryable: false }
    case 'retry':
      return { kind, code, message, retryable: true }
    case 'defer':
      return defer(code, message, afterMs)
  }
}

/** Names members, and no value of theirs. */
const misfit = (code: JobErrorCode & ('invalid_data' | 'invalid_result'), { errors }: Validate): JobOutcome => {
  const faults = toFieldProblems(errors ?? []).slice(0, faultsShown)
  return fail(code, [jobErrors[code].meaning, ...faults.map(({ pointer, detail }) => `${pointer} ${detail}.`)].join(' '))
}

/** As it will be stored: `undefined` counts as null, a Date as its text. Undefined for what JSON cannot hold. */
const toJson = (value: unknown): { readonly value: unknown } | undefined => {
  try {
    const text = JSON.stringify(value) as string | undefined
    return { value: text === undefined ? null : JSON.parse(text) }
  } catch {
    return undefined
  }
}

/** Nothing of what Jobgate opened for its own job types. */
const toModuleContext = (ctx: JobContext): JobTypeContext => ({
  jobId: ctx.jobId,
  createdAt: ctx.createdAt,
  attempt: ctx.attempt,
  maxAttempts: ctx.maxAttempts,
  get signal() {
    return ctx.signal
  },
  log: (line) => ctx.log(String(line)),
  // Hardly anybody awaits it, and a rejection that nobody handles would end the worker.
  progress: (value) => {
    requireProgress(value)
    return ctx.progress(value).catch(() => {})
  },
})

const requireProgress = (value: unknown): void => {
  const isShare = typeof value === 'number' && value >= 0 && value <= 100
  const isRecord = typeof value === 'object' && value !== null && !Array.isArray(value)
  if (!isShare && !isRecord) throw new TypeError('progress takes a number from 0 to 100 or an object')
}
