// Submits one job with fetch, retries safely if the response is lost, and waits until the job finishes.
// JOBGATE_KEY is the API key, JOBGATE_URL the gateway. Needs Node 20 or newer and no packages.

import { randomUUID } from 'node:crypto'
import { setTimeout as pause } from 'node:timers/promises'

const url = process.env.JOBGATE_URL ?? 'http://127.0.0.1:3000'
const authorization = `Bearer ${process.env.JOBGATE_KEY}`

/** Returns the job. One key for this piece of work, however often it is sent. */
const submit = async (submission, attempts = 6) => {
  const headers = { authorization, 'content-type': 'application/json', 'idempotency-key': `"${randomUUID()}"` }
  const body = JSON.stringify(submission)
  for (let attempt = 1; ; attempt++) {
    const signal = AbortSignal.timeout(10_000)
    const answer = await fetch(`${url}/v1/jobs`, { method: 'POST', headers, body, signal }).catch((error) => error)
    if (answer.ok) return await answer.json()
    // No response, still in flight, too many requests, or unavailable: the outcome may be unknown, so retry with the same key.
    const again = answer instanceof Error || [409, 429].includes(answer.status) || answer.status >= 500
    if (!again || attempt === attempts) throw answer instanceof Error ? answer : new Error(await answer.text())
    const waitSeconds = answer instanceof Error ? 1 : Number(answer.headers.get('retry-after') ?? 1)
    await pause(waitSeconds * 1000)
  }
}

/** Long-polls: each request returns when the job finishes, or after 20 seconds. */
const waitUntilFinished = async (id) => {
  for (;;) {
    const signal = AbortSignal.timeout(40_000)
    const answer = await fetch(`${url}/v1/jobs/${id}`, { headers: { authorization, prefer: 'wait=20' }, signal })
    if (!answer.ok) throw new Error(await answer.text())
    const job = await answer.json()
    if (['completed', 'failed', 'cancelled'].includes(job.state)) return job
  }
}

const accepted = await submit({ type: 'send-verification-email', data: { to: 'user@example.com', verificationCode: '123456' } })
console.log('accepted', accepted.id)
const job = await waitUntilFinished(accepted.id)
console.log(job.state)
if (job.state !== 'completed') throw new Error(JSON.stringify(job.error))
