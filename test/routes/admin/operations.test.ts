import t from 'tap'
import { buildTestApp, type TestApp } from '../../helpers/build-test-app.js'
import { begin, carryOut, ended } from '../../helpers/operations.js'

const submitOne = async ({ submit }: TestApp, type: string, label: string, options: object = {}): Promise<string> =>
  (await submit({ type, data: { label }, options })).json().id
const submitMany = async ({ request }: TestApp, count: number, options: object = {}): Promise<void> => {
  const items = Array.from({ length: count }, (_, at) => ({ type: 'echo', data: { label: `m${at}` }, options }))
  await request({ method: 'POST', url: '/v1/jobs/batch', payload: { items } })
}
const metrics = async ({ request }: TestApp) => (await request({ method: 'GET', url: '/admin/queues/external-api/metrics' })).json()
const read = ({ request }: TestApp, id: string) => request({ method: 'GET', url: `/v1/jobs/${id}` })

t.test('202 drain', async (t) => {
  const test = await buildTestApp(t, { env: { WORKERS_ENABLED: 'false' } })

  await t.test('a dry run counts and changes nothing', async (t) => {
    await submitMany(test, 600)
    await submitMany(test, 300, { delayMs: 60_000, priority: 'low' })
    const answer = await begin(test, 'external-api/drain?dryRun=true')
    t.equal(answer.statusCode, 200)
    t.same(answer.json(), { dryRun: true, kind: 'drain', queue: 'external-api', affected: 900, isExact: true })
    t.match(await metrics(test), { waiting: 600, delayed: 300 })
  })

  await t.test('400 for a body: what belongs into the query is not overlooked', async (t) => {
    for (const [payload, pointer] of [
      [{ dryRun: true }, '#/dryRun'],
      [[1], '#'],
    ] as const) {
      const answer = await test.request({ method: 'POST', url: '/admin/queues/external-api/drain', payload: payload as object })
      t.equal(answer.statusCode, 400)
      t.match(answer.json(), { type: '/problems/validation-failed', errors: [{ pointer }] })
    }
    t.equal((await test.request({ method: 'POST', url: '/admin/queues/external-api/drain?dryRun=true', payload: {} })).statusCode, 200)
  })

  await t.test('everything that waits goes, in many steps; parents go with their children', async (t) => {
    await test.submit({ type: 'many', data: { labels: ['a', 'b', 'c'] } })
    const answer = await begin(test, 'external-api/drain')
    t.equal(answer.statusCode, 202)
    t.equal(answer.headers.location, `/admin/operations/${answer.json().id}`)
    t.equal(answer.headers['retry-after'], '1')
    const end = await ended(test, answer.json().id)
    t.match(end, { kind: 'drain', queue: 'external-api', state: 'completed', by: 'admin', total: 903, scanned: 903, affected: 903 })
    t.match(await metrics(test), { waiting: 0, delayed: 0, waitingChildren: 0 })
    const { redis, queueKeys } = test.services
    t.same((await redis.request.keys(`${queueKeys['external-api'].base}ext_*`)).length, 0, 'no key of a job is left')
  })

  await t.test('an idempotency key outlives the drain', async (t) => {
    const body = { type: 'echo', data: { label: 'keyed' } }
    const { id } = (await test.submit(body, { 'idempotency-key': '"d1"' })).json()
    await carryOut(test, 'external-api/drain')
    t.equal((await read(test, id)).statusCode, 404)
    const again = await test.submit(body, { 'idempotency-key': '"d1"' })
    t.equal(again.json().id, id)
  })

  await t.test('a paused queue and plain lists are drained too; what is younger stays', async (t) => {
    const { redis, queueKeys } = test.services
    const keys = queueKeys['external-api']
    await begin(test, 'external-api/pause')
    const [old, young] = [await submitOne(test, 'echo', 'old'), await submitOne(test, 'echo', 'young')]
    for (const id of [old, young]) {
      await redis.request.zrem(keys.prioritized, id)
      await redis.request.lpush(keys.wait, id)
    }
    await redis.request.hset(keys.job(young), 'timestamp', Date.now() + 60_000)
    t.match(await carryOut(test, 'external-api/drain'), { scanned: 2, affected: 1 })
    t.same(await redis.request.lrange(keys.wait, 0, -1), [young])
    t.equal((await read(test, old)).statusCode, 404)
    await redis.request.hset(keys.job(young), 'timestamp', 1)
    t.match(await carryOut(test, 'external-api/drain'), { affected: 1 })
    await begin(test, 'external-api/resume')
  })

  await t.test('the next run of a schedule stays', async (t) => {
    const { redis, queueKeys } = test.services
    const keys = queueKeys['external-api']
    const due = Date.now() + 60_000
    const id = `repeat:nightly:${due}`
    await redis.request.zadd(`${keys.base}repeat`, due, 'nightly')
    await redis.request.hset(keys.job(id), { name: 'echo', data: '{}', opts: '{}', timestamp: Date.now() - 1000, rjk: 'nightly' })
    await redis.request.zadd(keys.delayed, due * 4096, id)
    t.match(await carryOut(test, 'external-api/drain'), { scanned: 1, affected: 0 })
    t.match(await carryOut(test, 'external-api/promote-delayed'), { scanned: 1, affected: 0 })
    t.equal(await redis.request.zcard(keys.delayed), 1)
  })

  await t.test('the audit trail says who asked for it and how many jobs went', async (t) => {
    const { items } = (await test.request({ method: 'GET', url: '/admin/audit?limit=200' })).json()
    const of = (act: string) =>
      items.filter((each: { act: string; details: { kind: string } }) => each.act === act && each.details.kind === 'drain')
    t.match(of('operation.requested').at(-1), { by: 'admin', queue: 'external-api', details: { operationId: /^op_/ } })
    t.match(of('operation.finished').at(-1), { by: 'admin', details: { state: 'completed', affected: 903 } })
  })
})

t.test('202 retry-failed and promote-delayed', async (t) => {
  const test = await buildTestApp(t)

  await t.test('failed jobs run again, cancelled ones do not', async (t) => {
    const failed = await submitOne(test, 'flaky', 'again', { attempts: 1 })
    const cancelled = await submitOne(test, 'echo', 'cancelled', { delayMs: 60_000 })
    await test.finished(failed)
    await test.request({ method: 'DELETE', url: `/v1/jobs/${cancelled}` })
    t.match((await begin(test, 'external-api/retry-failed?dryRun=true')).json(), { affected: 1 })
    t.match(await carryOut(test, 'external-api/retry-failed'), { state: 'completed', scanned: 2, affected: 1 })
    await test.finished(failed)
    t.equal(test.probes.runs.filter(({ jobId }) => jobId === failed).length, 2)
    t.match((await read(test, cancelled)).json(), { state: 'cancelled' })
    const record = (await test.request({ method: 'GET', url: `/admin/queues/external-api/jobs/${failed}` })).json()
    t.match(record.earlierRuns, [{ attempts: 1, error: { code: 'handler_error' }, finishedAt: /Z$/ }])
  })

  await t.test('delayed jobs run now', async (t) => {
    const ids = [
      await submitOne(test, 'echo', 'p1', { delayMs: 60_000 }),
      await submitOne(test, 'echo', 'p2', { delayMs: 90_000, priority: 'low' }),
    ]
    t.match((await begin(test, 'external-api/promote-delayed?dryRun=true')).json(), { affected: 2 })
    t.match(await carryOut(test, 'external-api/promote-delayed'), { affected: 2 })
    for (const id of ids) t.match(await test.finished(id), { state: 'completed' })
  })
})

t.test('202 obliterate', async (t) => {
  const test = await buildTestApp(t)

  await t.test('409 while jobs run', async (t) => {
    const id = await submitOne(test, 'block', 'busy')
    await test.probes.started('busy')
    const answer = await begin(test, 'external-api/obliterate')
    t.equal(answer.statusCode, 409)
    t.equal(answer.json().type, '/problems/queue-busy')
    t.match((await read(test, id)).json(), { state: 'active' })
  })

  await t.test('force stops them; finished and waiting jobs go; the queue works on', async (t) => {
    const [running] = (await test.request({ method: 'GET', url: '/v1/jobs?state=active' })).json().items
    const finished = await submitOne(test, 'echo', 'done')
    const failed = await submitOne(test, 'refuse', 'failed')
    await test.finished(finished)
    await test.finished(failed)
    const delayed = await submitOne(test, 'echo', 'delayed', { delayMs: 60_000 })
    t.match(await carryOut(test, 'external-api/obliterate?force=true'), { state: 'completed' })
    for (const id of [finished, failed, delayed]) t.equal((await read(test, id)).statusCode, 404)
    const answer = await read(test, running.id)
    if (answer.statusCode === 200) t.match(await test.finished(running.id), { state: 'cancelled' })
    t.match(await metrics(test), { isPaused: false })
    t.match(await test.finished(await submitOne(test, 'echo', 'after')), { state: 'completed' })
  })

  await t.test('a queue that was paused before stays so', async (t) => {
    await begin(test, 'external-api/pause')
    await carryOut(test, 'external-api/obliterate')
    t.match(await metrics(test), { isPaused: true, completed: 0 })
  })
})

t.test('following and stopping', async (t) => {
  const test = await buildTestApp(t, { env: { WORKERS_ENABLED: 'false' } })
  const { redis, keys } = test.services
  const get = (id: string) => test.request({ method: 'GET', url: `/admin/operations/${id}` })
  const cancel = (id: string) => test.request({ method: 'DELETE', url: `/admin/operations/${id}` })
  await submitMany(test, 300)

  await t.test('409 a second of its kind; DELETE 202 stops it; another DELETE 409', async (t) => {
    // Held by an instance that does nothing: the operation neither begins nor ends.
    const id = 'op_00000000000000000000000000000000'
    await redis.request.hset(keys.operation(id), {
      ...{ kind: 'drain', queue: 'external-api', by: 'admin', request: '{}', total: 300, state: 'running', createdAt: Date.now() },
    })
    await redis.request.set(keys.operationLease(id), 'elsewhere')
    await redis.request.hset(keys.operationsOpen, 'external-api:drain', id)
    const second = await begin(test, 'external-api/drain')
    t.equal(second.statusCode, 409)
    t.equal(second.json().type, '/problems/operation-running')
    t.equal(second.headers.location, `/admin/operations/${id}`)
    t.match((await get(id)).headers, { 'retry-after': '1' })

    const stopped = await cancel(id)
    t.equal(stopped.statusCode, 202)
    t.match(stopped.json(), { state: 'running', cancelRequested: true })
    await redis.request.del(keys.operationLease(id))
    await test.services.operations.resumeOpen()
    t.match(await ended(test, id), { state: 'cancelled', affected: 0, finishedAt: /Z$/ })
    t.notOk('retry-after' in (await get(id)).headers)
    t.match(await metrics(test), { waiting: 300 })
    const again = await cancel(id)
    t.equal(again.statusCode, 409)
    t.equal(again.json().type, '/problems/operation-finished')
    t.ok((await redis.request.pttl(keys.operation(id))) > 0, 'the record goes by itself')
    t.match(await carryOut(test, 'external-api/drain'), { affected: 300 })
  })

  await t.test('404', async (t) => {
    for (const id of ['op_00000000000000000000000000000001', 'x', '__proto__']) {
      t.equal((await get(id)).statusCode, 404, id)
      t.equal((await cancel(id)).statusCode, 404, id)
    }
    for (const act of ['drain', 'retry-failed', 'promote-delayed', 'obliterate'])
      t.equal((await begin(test, `nope/${act}`)).statusCode, 404, act)
  })

  await t.test('400', async (t) => {
    t.equal((await begin(test, 'email/drain?dryrun=true')).statusCode, 400)
    t.equal((await begin(test, 'email/drain?dryRun=perhaps')).statusCode, 400)
  })
})

t.test('200 the list of operations: newest first, in pages', async (t) => {
  const test = await buildTestApp(t, { env: { WORKERS_ENABLED: 'false' } })
  const list = async (query = '') => (await test.request({ method: 'GET', url: `/admin/operations${query}` })).json()
  t.same(await list(), { items: [], next: null })
  const ids: string[] = []
  for (const path of ['email/drain', 'email/retry-failed', 'meeting/drain', 'email/drain', 'external-api/promote-delayed'])
    ids.unshift((await carryOut(test, path)).id)
  const all = await list()
  t.same(new Set(all.items.map(({ id }: { id: string }) => id)), new Set(ids))
  t.match(all.items[0], { kind: 'promote-delayed', queue: 'external-api', state: 'completed', by: 'admin' })
  const times = all.items.map(({ createdAt }: { createdAt: string }) => createdAt)
  t.same(times, [...times].sort().reverse())

  const first = await list('?limit=2')
  t.same(first.items, all.items.slice(0, 2))
  const second = await list(`?limit=2&cursor=${first.next}`)
  t.same(second.items, all.items.slice(2, 4))
  t.same(await list(`?limit=2&cursor=${second.next}`), { items: all.items.slice(4), next: null })

  await test.services.redis.request.del(test.services.keys.operation(ids[1] as string))
  t.equal((await list()).items.length, 4, 'one whose record has ended is left out')
  for (const query of ['?limit=0', '?limit=201', '?cursor=x', `?cursor=op_${'0'.repeat(32)}`, '?more=1'])
    t.equal((await test.request({ method: 'GET', url: `/admin/operations${query}` })).statusCode, 400, query)
})
