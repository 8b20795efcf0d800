// An attempt in this process whose lock ran out, as after a stall: it writes nothing, and its job runs again.

import t from 'tap'
import { buildTestApp } from '../helpers/build-test-app.js'
import { eventually } from '../helpers/eventually.js'

t.test('an attempt that has lost its lock ends as lost, whatever its handler says', async (t) => {
  const test = await buildTestApp(t, { env: { WORKERS_ENABLED: 'false' } })
  const { request } = test.services.redis
  const { job, base } = test.services.queueKeys['external-api']
  // Renews locks every half second and looks for stalled jobs hardly ever.
  const first = await buildTestApp(t, { beside: test, env: { WORKER_LOCK_MS: '1000', WORKER_STALLED_INTERVAL_MS: '60000' } })
  const { id } = (await test.submit({ type: 'stubborn', data: { label: 'stalls' } })).json()
  await test.probes.started('stalls')
  // On a busy machine it may have run out already.
  await request.del(`${job(id)}:lock`)
  await eventually('it is told', () => test.probes.signalOf(id)?.reason === 'lost', 20_000)
  test.probes.release('stalls')
  const ends = ({ logs }: typeof test) =>
    logs
      .map((line) => JSON.parse(line))
      .filter(({ jobId, msg }) => jobId === id && msg === 'attempt ended')
      .map(({ outcome }) => outcome)
  await eventually('it has ended', () => ends(first).length > 0)
  t.same(ends(first), ['lost'])
  t.match((await test.request({ method: 'GET', url: `/v1/jobs/${id}` })).json(), { state: 'active', result: null })

  await request.del(`${base}stalled-check`)
  const second = await buildTestApp(t, { beside: test, env: { WORKER_STALLED_INTERVAL_MS: '500' } })
  t.match(await test.finished(id), { state: 'completed', attempts: { made: 1 } })
  t.same([...ends(first), ...ends(second)], ['lost', 'completed'], 'whichever of them ran it again')
})
t.end()
