// Job types that change and go while jobs of them are submitted, at two gateways.

import t from 'tap'
import { adminKey, buildTestApp } from './helpers/build-test-app.js'
import { eventually } from './helpers/eventually.js'
import { type Ask, raceTypes } from './helpers/type-races.js'

t.test('every accepted job fits the version that it names, and nothing is stored for a type that is gone', async (t) => {
  const env = { WORKERS_ENABLED: 'false', LOG_LEVEL: 'warn', SCHEDULES_MAX: '10' }
  const one = await buildTestApp(t, { env })
  const other = await buildTestApp(t, { env, beside: one })
  const seed = Number(process.env['SEED'] ?? Math.floor(Math.random() * 2 ** 31))
  let asked = 0
  const ask: Ask = async (method, url, body) => {
    const { app } = asked++ % 2 ? one : other
    const isLines = typeof body === 'string'
    const answer = await app.inject({
      method,
      url,
      headers: { authorization: `Bearer ${adminKey}`, ...(isLines ? { 'content-type': 'application/x-ndjson' } : {}) },
      ...(body === undefined ? {} : { payload: body }),
    })
    const read = () =>
      isLines
        ? {
            items: answer.body
              .trim()
              .split('\n')
              .map((line) => JSON.parse(line)),
          }
        : JSON.parse(answer.body)
    return { status: answer.statusCode, body: answer.body === '' ? undefined : read() }
  }
  const { faults, counts, names, purge } = await raceTypes({ ask, seed, types: 8, isSteady: true, isOver: () => asked >= 1200 })
  t.comment(`seed ${seed}: ${JSON.stringify(counts)}`)
  t.same(faults, [])
  // Whether one could be deleted meanwhile is left to chance: in the end all of them are.
  t.ok(counts.registered > 10 && counts.accepted > 30 && counts.rejected > 10, JSON.stringify(counts))

  const { request } = one.services.redis
  for (let at = 0; at < 3; at++) await ask('DELETE', `/v1/schedules/race-${at}`)
  for (const name of names) {
    // Runs of schedules may have come last.
    await eventually(`${name} is deleted`, async () => {
      await purge(name)
      return [204, 404].includes((await ask('DELETE', `/v1/job-types/${name}`)).status)
    })
    t.same(await request.keys(`*:${name}:*`), [], `nothing is left of ${name}`)
  }
})
