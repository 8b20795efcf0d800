// Bodies that are allowed in bytes, but take long to build and check: refused before that, wherever they are sent.

import t from 'tap'
import { namesMax } from '../../src/runtime/json-measure.js'
import { adminKey, buildTestApp } from '../helpers/build-test-app.js'

/** Members of very many names, in 1 MB and less. */
const many = (count: number) => Array.from({ length: count }, (_, at) => `"n${at}":1`).join(',')
const tooMany = many(90_000)
const detail = /more than 5000 different member names/

t.test('413', async (t) => {
  const { app, request } = await buildTestApp(t, { env: { WORKERS_ENABLED: 'false' } })
  const json = { 'content-type': 'application/json' }

  await t.test('wherever the members are', async (t) => {
    const data = '"type":"echo","data":{"label":"a"}'
    for (const [method, url, payload] of [
      ['POST', '/v1/jobs', `{${data},${tooMany}}`],
      ['POST', '/v1/jobs', `{"type":"echo","data":{${tooMany}}}`],
      ['POST', '/v1/jobs', `{${data},"metadata":{${tooMany}}}`],
      ['POST', '/v1/jobs', `{${data},"followUps":[{${tooMany}}]}`],
      ['POST', '/v1/jobs/batch', `{"items":[{${data}},{${data},${tooMany}}]}`],
      ['POST', '/v1/jobs/batch', `{${tooMany}}`],
      ['PUT', '/v1/schedules/many', `{${data},"cron":"0 0 1 1 *",${tooMany}}`],
      ['POST', '/admin/queues/clean', `{${tooMany}}`],
      ['DELETE', '/v1/jobs/ext_3q2AMb1cT7mR0wZk9vYxFg', `{${tooMany}}`],
    ] as const) {
      const answer = await request({ method, url, payload, headers: json })
      t.equal(answer.statusCode, 413, `${method} ${url}`)
      t.match(answer.json(), { type: '/problems/payload-too-large', detail })
    }
    t.equal((await request({ method: 'GET', url: '/v1/jobs' })).json().items.length, 0)
  })

  await t.test('a line of an import, and no other', async (t) => {
    const line = '{"type":"echo","data":{"label":"a"}}'
    const answer = await app.inject({
      method: 'POST',
      url: '/v1/jobs/batch',
      headers: { authorization: `Bearer ${adminKey}`, 'content-type': 'application/x-ndjson' },
      payload: `${line}\n{"type":"echo",${many(20_000)}}\n${line}\n`,
    })
    const results = answer.body
      .trim()
      .split('\n')
      .map((text) => JSON.parse(text))
    t.match(results, [
      { index: 0, status: 202 },
      { index: 1, status: 413, error: { type: '/problems/payload-too-large', line: 2, detail } },
      { index: 2, status: 202 },
    ])
  })
})

t.test('what is large, but reasonable, is accepted', async (t) => {
  const { request } = await buildTestApp(t, { env: { WORKERS_ENABLED: 'false' } })
  const nested = Object.fromEntries(Array.from({ length: 60 }, (_, at) => [`field${at}`, [at, { name: `value ${at}` }]]))
  const items = Array.from({ length: 1000 }, (_, at) => ({
    type: 'echo',
    data: { label: `job ${at}`, nested: at % 10 === 0 ? nested : { at } },
    metadata: { [`own-${at}`]: at, source: 'import' },
    idempotencyKey: `key ${at}`,
  }))
  const batch = await request({ method: 'POST', url: '/v1/jobs/batch', payload: { items } })
  t.equal(batch.statusCode, 207)
  t.ok(batch.json().items.every(({ status }: { status: number }) => status === 202))
  const wide = Object.fromEntries(Array.from({ length: namesMax - 100 }, (_, at) => [`n${at}`, at]))
  const single = await request({ method: 'POST', url: '/v1/jobs', payload: { type: 'echo', data: { label: 'wide', nested: wide } } })
  t.equal(single.statusCode, 202)
})
