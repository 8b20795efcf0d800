import t from 'tap'
import { buildTestApp, type TestApp } from '../../helpers/build-test-app.js'
import { eventually } from '../../helpers/eventually.js'
import { begin, carryOut } from '../../helpers/operations.js'

const submitOne = async ({ submit }: TestApp, type: string, label: string, options: object = {}): Promise<string> =>
  (await submit({ type, data: { label, secret: 'hunter2' }, options })).json().id

interface Page {
  items: { id: string; failedAt: string; sentBack?: number }[]
  next: string | null
}
const list = async ({ request }: TestApp, query = ''): Promise<Page> =>
  (await request({ method: 'GET', url: `/admin/queues/external-api/dead-letters${query}` })).json()
const idsOf = ({ items }: Page) => items.map(({ id }) => id)

t.test('listing', async (t) => {
  const test = await buildTestApp(t)
  const ids: string[] = []
  for (let at = 0; at < 5; at++) {
    const id = await submitOne(test, at % 2 ? 'flaky' : 'refuse', `d${at}`, { attempts: 1 })
    await test.finished(id)
    ids.unshift(id)
  }
  const cancelled = await submitOne(test, 'echo', 'cancelled', { delayMs: 60_000 })
  await test.request({ method: 'DELETE', url: `/v1/jobs/${cancelled}` })
  await test.finished(await submitOne(test, 'echo', 'fine'))

  await t.test('200: what failed for good, newest first; neither cancelled nor completed jobs, no data', async (t) => {
    const page = await list(test)
    t.same(idsOf(page), ids)
    t.match(page.items[0], {
      type: 'refuse',
      error: { code: 'invalid_data', retryable: false },
      attempts: { made: 1, max: 1 },
      sentBack: 0,
      createdAt: /Z$/,
      failedAt: /Z$/,
    })
    t.notMatch(JSON.stringify(page), 'hunter2')
  })

  await t.test('200: filters', async (t) => {
    t.equal((await list(test, '?type=flaky')).items.length, 2)
    t.equal((await list(test, '?code=invalid_data')).items.length, 3)
    t.equal((await list(test, '?code=invalid_data&type=flaky')).items.length, 0)
    const times = (await list(test)).items.map(({ failedAt }) => failedAt)
    const inRange = times.filter((each) => each >= (times[3] as string) && each <= (times[1] as string)).length
    t.equal((await list(test, `?since=${times[3]}&until=${times[1]}`)).items.length, inRange)
    t.equal((await list(test, '?since=2999-01-01T00:00:00.000Z')).items.length, 0)
  })

  await t.test('200: pages neither skip nor repeat, also among jobs that failed in the same millisecond', async (t) => {
    const { redis, queueKeys } = test.services
    const at = Date.now()
    for (const id of ids.slice(0, 4)) await redis.request.zadd(queueKeys['external-api'].failed, at, id)
    for (const limit of [1, 2, 3]) {
      const seen: string[] = []
      let next: string | null = ''
      while (next !== null) {
        const page: Page = await list(test, `?limit=${limit}${next ? `&cursor=${next}` : ''}`)
        seen.push(...idsOf(page))
        next = page.next
      }
      t.same([...seen].sort(), [...ids].sort(), `limit ${limit}`)
    }
  })

  await t.test('400: cursors of other lists and forged ones; bounds', async (t) => {
    const { next } = await list(test, '?limit=1')
    const status = async (query: string) =>
      (await test.request({ method: 'GET', url: `/admin/queues/external-api/dead-letters${query}` })).statusCode
    t.equal(await status(`?limit=2&cursor=${next}`), 200)
    for (const query of [`?type=flaky&cursor=${next}`, '?cursor=AAAA', '?limit=0', '?limit=201', '?since=yesterday', '?code=A', '?more=1'])
      t.equal(await status(query), 400, query)
    t.equal((await test.request({ method: 'GET', url: `/admin/queues/email/dead-letters?cursor=${next}` })).statusCode, 400)
    t.equal((await test.request({ method: 'GET', url: '/admin/queues/nope/dead-letters' })).statusCode, 404)
  })
})

t.test('redriving', async (t) => {
  const test = await buildTestApp(t)
  const redrive = (payload: object, query = '') => begin(test, `external-api/dead-letters/redrive${query}`, payload)

  await t.test('202 by ids: the same id, all attempts, history kept', async (t) => {
    const id = await submitOne(test, 'flaky', 'back', { attempts: 1 })
    const other = await submitOne(test, 'refuse', 'stays')
    await test.finished(id)
    await test.finished(other)
    const gone = 'ext_3q2AMb1cT7mR0wZk9vYxFg'
    t.match((await redrive({ ids: [id, gone] }, '?dryRun=true')).json(), { affected: 1, isExact: true })
    const end = await carryOut(test, 'external-api/dead-letters/redrive', { ids: [id, gone] })
    t.match(end, { kind: 'redrive', state: 'completed', total: 2, scanned: 2, affected: 1, ratePerSecond: 100 })
    await test.finished(id)
    t.equal(test.probes.runs.filter(({ jobId }) => jobId === id).length, 2)
    t.equal(test.probes.runs.filter(({ jobId }) => jobId === other).length, 1)
    const page = await list(test)
    t.match(
      page.items.find((each) => each.id === id),
      { sentBack: 1 },
    )
    const record = (await test.request({ method: 'GET', url: `/admin/queues/external-api/jobs/${id}` })).json()
    t.match(record, { attemptsStarted: 1, retriedAt: /Z$/, earlierRuns: [{ attempts: 1, error: { code: 'handler_error' } }] })
  })

  await t.test('202 by filter: what fails again is not met twice', async (t) => {
    const before = test.probes.runs.length
    const end = await carryOut(test, 'external-api/dead-letters/redrive', { filter: { type: 'refuse' }, ratePerSecond: 1000 })
    t.match(end, { state: 'completed', affected: 1 })
    // Until then it is on its way, and on no list.
    await eventually('it has failed again', async () => (await list(test, '?type=refuse')).items[0]?.sentBack === 1)
    t.equal(test.probes.runs.length, before + 1)
  })

  await t.test('400: exactly one of ids and filter; bounds', async (t) => {
    for (const body of [
      {},
      { ids: ['ext_3q2AMb1cT7mR0wZk9vYxFg'], filter: {} },
      { ids: [] },
      { ids: ['x'] },
      { filter: { state: 'failed' } },
      { filter: {}, ratePerSecond: 0 },
      { filter: {}, ratePerSecond: 10_001 },
    ])
      t.equal((await redrive(body)).statusCode, 400, JSON.stringify(body))
    t.equal((await begin(test, 'nope/dead-letters/redrive', { filter: {} })).statusCode, 404)
  })
})

t.test('purging', async (t) => {
  const test = await buildTestApp(t)
  const [one, two] = [await submitOne(test, 'refuse', 'p1'), await submitOne(test, 'flaky', 'p2', { attempts: 1 })]
  await test.finished(one)
  await test.finished(two)
  const cancelled = await submitOne(test, 'echo', 'c', { delayMs: 60_000 })
  await test.request({ method: 'DELETE', url: `/v1/jobs/${cancelled}` })

  await t.test('202 by filter', async (t) => {
    t.match(await carryOut(test, 'external-api/dead-letters/purge', { filter: { code: 'invalid_data' } }), { affected: 1 })
    t.equal((await test.request({ method: 'GET', url: `/v1/jobs/${one}` })).statusCode, 404)
    t.same(idsOf(await list(test)), [two])
  })

  await t.test('202 all; cancelled jobs stay', async (t) => {
    t.match((await begin(test, 'external-api/dead-letters/purge?dryRun=true', { filter: {} })).json(), { affected: 1 })
    t.match(await carryOut(test, 'external-api/dead-letters/purge', { filter: {} }), { kind: 'purge', affected: 1 })
    t.same(idsOf(await list(test)), [])
    t.equal((await test.request({ method: 'GET', url: `/v1/jobs/${cancelled}` })).statusCode, 200)
  })

  await t.test('400', async (t) => {
    t.equal((await begin(test, 'external-api/dead-letters/purge', {})).statusCode, 400)
    t.equal((await begin(test, 'external-api/dead-letters/purge', { filter: {}, ratePerSecond: 5 })).statusCode, 400)
  })
})
