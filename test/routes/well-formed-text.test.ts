// Text that no UTF-8 can hold is refused wherever it comes in: what is stored can be found again.

import { createHash } from 'node:crypto'
import t from 'tap'
import { adminKey, buildTestApp } from '../helpers/build-test-app.js'

const detail = 'must be well-formed Unicode text'
const half = '\\ud83d'

t.test('half a surrogate pair', async (t) => {
  const test = await buildTestApp(t, { env: { WORKERS_ENABLED: 'false' } })
  const send = (method: 'POST' | 'PUT', url: string, payload: string) =>
    test.request({ method, url, payload, headers: { 'content-type': 'application/json' } })
  const job = (members: string) => `{"type":"echo","data":{"label":"x"}${members}}`

  await t.test('400 in every body, with a pointer', async (t) => {
    const cases: [method: 'POST' | 'PUT', url: string, payload: string, pointer: string][] = [
      ['POST', '/v1/jobs', job(`,"userId":"a${half}"`), '#/userId'],
      ['POST', '/v1/jobs', job(`,"metadata":{"note":"${half.toUpperCase().replace('\\U', '\\u')}"}`), '#/metadata/note'],
      ['POST', '/v1/jobs', job(`,"correlationId":"${half}"`), '#/correlationId'],
      ['POST', '/v1/jobs', `{"type":"echo","data":{"label":"${half}"}}`, '#/data/label'],
      ['POST', '/v1/jobs', job(`,"followUps":[{"type":"echo","data":{"label":"${half}"}}]`), '#/followUps/0/data/label'],
      ['POST', '/v1/jobs/batch', `{"items":[${job('')},${job(`,"userId":"${half}"`)}]}`, '#/items/1/userId'],
      ['PUT', '/v1/schedules/s', job(`,"cron":"0 0 1 1 *","userId":"${half}"`), '#/userId'],
      ['POST', '/admin/api-keys', `{"name":"${half}","scopes":["jobs:read"]}`, '#/name'],
    ]
    for (const [method, url, payload, pointer] of cases) {
      const answer = await send(method, url, payload)
      t.equal(answer.statusCode, 400, `${url} ${pointer}`)
      t.match(answer.json(), { type: '/problems/validation-failed', errors: [{ pointer, detail }] })
    }
    t.same((await test.request({ method: 'GET', url: '/v1/jobs' })).json().items, [], 'nothing was stored')
  })

  await t.test('a line of an import is refused, the others are not', async (t) => {
    const lines = [job(''), job(`,"userId":"${half}"`), job('')].join('\n')
    const headers = { 'content-type': 'application/x-ndjson', authorization: `Bearer ${adminKey}` }
    const answer = await test.app.inject({ method: 'POST', url: '/v1/jobs/batch', payload: lines, headers })
    const results = answer.body
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line))
    t.same(
      results.map(({ status }) => status),
      [202, 400, 202],
    )
    t.match(results[1].error, { type: '/problems/validation-failed', line: 2, errors: [{ pointer: '#/userId', detail }] })
  })

  await t.test('a whole pair is fine, escaped or not, and found by filters', async (t) => {
    for (const user of ['\\ud83d\\ude00', '😀']) t.equal((await send('POST', '/v1/jobs', job(`,"userId":"${user}"`))).statusCode, 202)
    const { items } = (await test.request({ method: 'GET', url: `/v1/jobs?userId=${encodeURIComponent('😀')}` })).json()
    t.equal(items.length, 2)
  })

  await t.test('400 a query that is not percent-encoded UTF-8', async (t) => {
    for (const value of ['%ED%A0%80', '%ff', 'a%', '%zz', '%C3']) {
      const answer = await test.request({ method: 'GET', url: `/v1/jobs?limit=5&userId=${value}` })
      t.equal(answer.statusCode, 400, value)
      t.match(answer.json(), {
        type: '/problems/validation-failed',
        errors: [{ pointer: '#/userId', detail, in: 'query', parameter: 'userId' }],
      })
    }
    t.equal((await test.request({ method: 'GET', url: '/v1/jobs?%ff=1' })).statusCode, 400)
    t.equal((await test.request({ method: 'GET', url: '/v1/jobs?userId=%ff', key: null })).statusCode, 401, 'who calls comes first')
    t.equal((await test.request({ method: 'GET', url: '/v1/jobs?userId=a%20b+c%C3%BC' })).statusCode, 200)
  })
})

t.test("400 a vendor's event", async (t) => {
  const token = 'webhook-token-of-the-tests'
  const test = await buildTestApp(t, { env: { WORKERS_ENABLED: 'false', TENCENT_MEETING_WEBHOOK_TOKEN: token } })
  const data = Buffer.from(`{"event":"meeting.end","trace_id":"1","payload":[{"subject":"${half}"}]}`).toString('base64')
  const headers = { timestamp: String(Math.floor(Date.now() / 1000)), nonce: '1' }
  const signature = createHash('sha1').update([token, headers.timestamp, headers.nonce, data].sort().join('')).digest('hex')
  const answer = await test.app.inject({
    method: 'POST',
    url: '/v1/inbound/tencent-meeting',
    payload: { data },
    headers: { ...headers, signature },
  })
  t.equal(answer.statusCode, 400)
  t.match(answer.json(), { type: '/problems/malformed-body' })
  t.same((await test.request({ method: 'GET', url: '/v1/jobs' })).json().items, [])
})
