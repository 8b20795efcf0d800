// Jobs that attacks need: one that has not started, one that has finished.

import { until } from '../helpers/until.js'
import type { Attack } from './row.js'

export const plainJob = (label: string, options: object = {}) => ({
  type: 'process-webhook',
  data: { source: 'other', eventId: label, eventType: 'attack', payload: {} },
  options,
})

const delayMs = 3_600_000

/** Submits a job that does not start within the attack; gives its id. */
export const submitDelayed = async ({ client }: Attack, key: string, label = 'delayed'): Promise<string> => {
  const { status, json, text } = await client.send({ method: 'POST', path: '/v1/jobs', key, body: plainJob(label, { delayMs }) })
  if (status !== 202) throw new Error(`the job was not accepted: ${status} ${text}`)
  return json.id
}

/** The same of a type and in a queue that limited keys may not see. */
export const hiddenJob = (to: string) => ({
  type: 'send-verification-email',
  data: { to: `${to}@example.com`, verificationCode: '123456' },
  options: { delayMs },
})

/** Submits one; gives its id. */
export const submitHidden = async ({ client }: Attack, key: string, to = 'hidden'): Promise<string> =>
  (await client.send({ method: 'POST', path: '/v1/jobs', key, body: hiddenJob(to) })).json.id

type Caller = Pick<Attack, 'client'>

/** Waits until the job has finished; gives its view. */
export const untilFinished = async ({ client }: Caller, key: string, id: string) => {
  // biome-ignore lint/suspicious/noExplicitAny: whatever the attack expects of it.
  let job: any
  await until(`${id} finishes`, async () => {
    job = (await client.send({ path: `/v1/jobs/${id}`, key })).json
    return ['completed', 'failed', 'cancelled'].includes(job?.state)
  })
  return job
}

/** Submits any job and waits until it has finished; gives its view. */
export const submitAndFinish = async (caller: Caller, key: string, body: object) => {
  const { status, json, text } = await caller.client.send({ method: 'POST', path: '/v1/jobs', key, body })
  if (status !== 202) throw new Error(`the job was not accepted: ${status} ${text}`)
  return untilFinished(caller, key, json.id)
}
