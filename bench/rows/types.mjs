// A job type that was registered over HTTP, beside a built-in one with the same members: checking its data, and submitting its jobs.

import { adminKey, load, openLab, verificationData } from '../lab.mjs'
import { inRounds } from '../rounds.mjs'

export const title = 'A job type of your own beside a built-in one'

const builtin = 'send-verification-email'
const own = 'own-verification'
/** The members of the built-in type, in the subset of contracts. */
const definition = {
  description: 'As the built-in one.',
  data: {
    type: 'object',
    properties: {
      to: { type: 'string', format: 'email', maxLength: 254 },
      name: { type: 'string', minLength: 1, maxLength: 100 },
      verificationCode: { type: 'string', minLength: 4, maxLength: 64, pattern: '^[A-Za-z0-9-]{4,64}$', 'x-sensitive': true },
      verificationUrl: { type: 'string', format: 'uri', maxLength: 2048, 'x-sensitive': true },
      locale: { enum: ['en', 'zh-CN'] },
    },
    required: ['to', 'verificationCode'],
    additionalProperties: false,
  },
  example: verificationData,
  runs: { by: 'pull' },
}
const checksAtOnce = 200_000

const register = async (address) => {
  const answer = await fetch(`${address}/v1/job-types/${own}`, {
    method: 'PUT',
    headers: { authorization: `Bearer ${adminKey}`, 'content-type': 'application/json' },
    body: JSON.stringify(definition),
  })
  if (!answer.ok) throw new Error(`${answer.status}: ${await answer.text()}`)
}

/** Nanoseconds for one check of the same data by each. */
const openChecks = async () => {
  const { createOwnValidator } = await import('../../dist/types/validator.js')
  const { parseDefinition } = await import('../../dist/types/contracts/definition.js')
  const { createContractValidator } = await import('../../dist/types/contracts/validator.js')
  const { sendVerificationEmail } = await import('../../dist/builtin/email/send-verification-email.js')
  const time = (validate) => () => {
    const from = performance.now()
    for (let count = 0; count < checksAtOnce; count++) if (!validate(verificationData)) throw new Error('the data do not fit')
    return ((performance.now() - from) * 1e6) / checksAtOnce
  }
  const read = parseDefinition(definition)
  return {
    checkOwn: time(createContractValidator(read.definition.data)),
    checkBuiltin: time(createOwnValidator(sendVerificationEmail.data)),
  }
}

export const run = async ({ rounds, seconds }) => {
  const lab = await openLab()
  try {
    const redis = await lab.startRedis()
    const gateway = await lab.startGateway(redis)
    const submit = (type) => () =>
      load(`${gateway.address}/v1/jobs`, 'own.lua', { seconds, key: gateway.key, env: { BENCH_TYPE: type } }).rate
    const results = await inRounds(
      rounds,
      { ...(await openChecks()), submitOwn: submit(own), submitBuiltin: submit(builtin) },
      {
        before: async () => {
          await lab.empty(redis, gateway)
          await register(gateway.address)
        },
        alternates: true,
      },
    )
    return [
      { name: 'checking data of an own type, ns', values: results.map((each) => each.checkOwn) },
      { name: 'checking data of a built-in type, ns', values: results.map((each) => each.checkBuiltin) },
      {
        name: 'checking data: own / built-in',
        values: results.map((each) => each.checkOwn / each.checkBuiltin),
        digits: 2,
        must: 1.2,
        goal: 1,
        atMost: true,
      },
      { name: 'submissions of an own type, per second', values: results.map((each) => each.submitOwn) },
      { name: 'submissions of a built-in type, per second', values: results.map((each) => each.submitBuiltin) },
      {
        name: 'time of a submission: own / built-in',
        values: results.map((each) => each.submitBuiltin / each.submitOwn),
        digits: 3,
        must: 1.05,
        goal: 1,
        atMost: true,
      },
    ]
  } finally {
    await lab.close()
  }
}
