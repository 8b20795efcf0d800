// Requests that last, on one instance, while their key is revoked on another.

import { once } from 'node:events'
import { type ClientRequest, request as httpRequest, type IncomingMessage } from 'node:http'
import { createInterface } from 'node:readline'
import t, { type Test } from 'tap'
import { buildTestApp, type TestApp } from '../helpers/build-test-app.js'
import { eventually } from '../helpers/eventually.js'
import { parseSse } from '../helpers/read-sse.js'

const scopes = ['jobs:submit', 'jobs:read']

/** Two instances; requests go to the one, changes of keys to the other. */
const openPair = async (t: Test) => {
  const here = await buildTestApp(t)
  const there = await buildTestApp(t, { beside: here, env: { WORKERS_ENABLED: 'false' } })
  await here.app.listen({ port: 0, host: '127.0.0.1' })
  const { port } = here.app.server.address() as { port: number }
  const issue = async (): Promise<{ key: string; revoke: () => Promise<unknown> }> => {
    const answer = await there.request({ method: 'POST', url: '/admin/api-keys', payload: { name: 'k', scopes } })
    const { key, apiKey } = answer.json()
    return { key, revoke: () => there.request({ method: 'DELETE', url: `/admin/api-keys/${apiKey.id}` }) }
  }
  const open = (method: string, path: string, key: string, headers: Record<string, string> = {}): ClientRequest =>
    httpRequest({ port, method, path, agent: false, headers: { authorization: `Bearer ${key}`, ...headers } })
  return { here, there, issue, open }
}

const answerOf = async (request: ClientRequest): Promise<IncomingMessage> => ((await once(request, 'response')) as [IncomingMessage])[0]

const textOf = async (answer: IncomingMessage): Promise<string> => {
  let text = ''
  for await (const chunk of answer.setEncoding('utf8')) text += chunk
  return text
}

const nothingIsHeld = ({ services }: TestApp) => eventually('no key is held', () => services.apiKeys.heldKeys() === 0)

t.test('the key ends', async (t) => {
  const { here, issue, open } = await openPair(t)
  const submitBlocked = async (label: string): Promise<string> => {
    const { id } = (await here.submit({ type: 'block', data: { label } })).json()
    await here.probes.started(label)
    return id
  }
  const line = (label: string) => `${JSON.stringify({ type: 'echo', data: { label } })}\n`

  await t.test('an import: its remaining lines get 401, then the answer ends', async (t) => {
    const { key, revoke } = await issue()
    const sending = open('POST', '/v1/jobs/batch', key, { 'content-type': 'application/x-ndjson' })
    sending.on('error', () => {})
    sending.write(line('before'))
    const answer = await answerOf(sending)
    const results = createInterface({ input: answer })[Symbol.asyncIterator]()
    t.match(JSON.parse((await results.next()).value), { index: 0, status: 202 })
    await revoke()
    const last = JSON.parse((await results.next()).value)
    t.match(last, {
      index: 1,
      status: 401,
      error: { type: '/problems/unauthorized', detail: /Neither this item nor any after it was stored/ },
    })
    t.equal((await results.next()).done, true)
    sending.destroy()
    const { items } = (await here.request({ method: 'GET', url: '/v1/jobs?type=echo' })).json()
    t.equal(items.length, 1, 'nothing was stored afterwards')
  })

  await t.test('an import that is there as a whole: what is not begun yet gets 401', async (t) => {
    const { key, revoke } = await issue()
    // Far more than is under way at once, and nobody reads the answer.
    const lines = 20_000
    const sending = open('POST', '/v1/jobs/batch', key, { 'content-type': 'application/x-ndjson' })
    sending.on('error', () => {})
    for (let at = 0; at < lines; at++) sending.write(line(`whole ${at}`))
    sending.end()
    const answer = await answerOf(sending)
    await revoke()
    const statuses: number[] = []
    let last: { error?: { detail: string } } = {}
    for await (const text of createInterface({ input: answer })) {
      last = JSON.parse(text)
      statuses.push((last as { status: number }).status)
    }
    const first = statuses.indexOf(401)
    t.ok(first > 0 && first < lines, `refused from ${first} on`)
    t.same(new Set(statuses.slice(first)), new Set([401]), 'and nothing is accepted behind that')
    t.match(last.error, { detail: /was (?:not )?stored/ })
  })

  await t.test('an event stream: a last event says so', async (t) => {
    const { key, revoke } = await issue()
    const id = await submitBlocked('stream')
    const following = open('GET', `/v1/jobs/${id}/events`, key)
    following.end()
    const answer = await answerOf(following)
    const text = textOf(answer)
    await eventually('the key is held', () => here.services.apiKeys.heldKeys() === 1)
    await revoke()
    const events = parseSse(await text)
    t.match(events.at(-1), {
      id: '',
      event: 'unauthorized',
      data: { type: '/problems/unauthorized', status: 401, detail: 'The API key was revoked or rotated while the request was open.' },
    })
    here.probes.release('stream')
    const again = open('GET', `/v1/jobs/${id}/events`, key)
    again.end()
    t.equal((await answerOf(again)).statusCode, 401)
    again.destroy()
  })

  await t.test('a long poll: 401', async (t) => {
    const { key, revoke } = await issue()
    const id = await submitBlocked('poll')
    for (const [path, headers] of [
      [`/v1/jobs/${id}?waitMs=30000`, {}],
      [`/v1/jobs/${id}`, { prefer: 'wait=30' }],
    ] as const) {
      const { key: each, revoke: end } = path.includes('?') ? { key, revoke } : await issue()
      const polling = open('GET', path, each, headers)
      polling.end()
      await eventually('the key is held', () => here.services.apiKeys.heldKeys() === 1)
      await end()
      const answer = await answerOf(polling)
      t.equal(answer.statusCode, 401, path)
      t.match(JSON.parse(await textOf(answer)), { type: '/problems/unauthorized' })
      await nothingIsHeld(here)
    }
    here.probes.release('poll')
  })

  await t.test('a submission that waits: accepted is accepted, and what became of the job is not told', async (t) => {
    const { key, revoke } = await issue()
    const submitting = open('POST', '/v1/jobs', key, { prefer: 'wait=30', 'content-type': 'application/json' })
    submitting.end(JSON.stringify({ type: 'block', data: { label: 'wait' } }))
    await here.probes.started('wait')
    await revoke()
    const answer = await answerOf(submitting)
    t.equal(answer.statusCode, 202)
    t.match(JSON.parse(await textOf(answer)), { state: 'waiting', startedAt: null })
    here.probes.release('wait')
  })

  await t.test('nothing stays behind', async (t) => {
    await t.resolves(nothingIsHeld(here))
  })
})
