// Leases end to end through two gateways on one Redis: handed out, held, settled, and what comes with a lease that is over.

import t from 'tap'
import { buildTestApp } from '../helpers/build-test-app.js'
import { createWorker, leasedType, read, submitLeased } from '../helpers/leased-types.js'

t.test('a job is leased and completed', async (t) => {
  const test = await buildTestApp(t)
  test.services.jobTypes.put(leasedType())
  const worker = createWorker(test)
  const id = await submitLeased(test, 'one', { data: { label: 'one', secret: 'hunter2' } })
  const [item] = await worker.lease()
  t.match(item, {
    checkpoint: null,
    job: { id, state: 'active', data: { label: 'one', secret: 'hunter2' }, attempts: { made: 0, max: 3 } },
  })
  t.match(await read(test, id), { state: 'active', data: { label: 'one', secret: '***' } })
  const settled = await worker.settle({ lease: item?.lease, outcome: 'completed', result: { width: 640 } })
  t.equal(settled.statusCode, 207)
  t.same(settled.json(), { items: [{ lease: item?.lease, status: 200, outcome: 'completed' }] })
  t.match(await read(test, id), { state: 'completed', result: { width: 640 }, attempts: { made: 1 } })
})
