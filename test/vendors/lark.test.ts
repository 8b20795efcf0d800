// Writing records to Lark: every error code, tokens, repeats without doubles, one writer a table.

import { createRequire } from 'node:module'
import t, { type Test } from 'tap'
import { createLock } from '../../src/redis/lock.js'
import { larkErrors } from '../../src/vendors/lark/job-errors.js'
import { openLark, toClientToken } from '../../src/vendors/lark/lark.js'
import { eventually } from '../helpers/eventually.js'
import { startStores } from '../helpers/vendor-attempt.js'
import { startLarkStub } from '../helpers/vendor-stubs/lark.js'
import { answer } from '../helpers/vendor-stubs/stub-server.js'

/** Required without its types: they are 300,000 lines, which would make up most of a type check. */
const { AppType, Client, LoggerLevel } = createRequire(import.meta.url)('@larksuiteoapi/node-sdk')

const table = { appToken: 'bascnStub', tableId: 'tblStub' }
const newStore = await startStores(t)

const setUp = async (t: Test, { timeoutMs = 10_000, appSecret = 'stub-secret', baseUrl = undefined as string | undefined } = {}) => {
  const [store, lark] = [newStore(), await startLarkStub(t)]
  const open = () => {
    const settings = { baseUrl: baseUrl ?? lark.url, appId: lark.appId, appSecret, timeoutMs, meetings: { keyField: 'meetingId' } }
    const client = openLark({ settings, ...store, lock: createLock(store) })
    t.after(() => client.close())
    return client
  }
  return { lark, client: open(), open, store, records: lark.records(table.appToken, table.tableId) }
}

const call = (reference = 'ext_job1', signal = new AbortController().signal) => ({ reference, signal })
const writes = (requests: readonly { path: string; body: string }[]) => requests.filter(({ path }) => path.includes('/bitable/'))

t.test('every error code of Lark has its class', async (t) => {
  const { lark, client } = await setUp(t)
  const refused = (code: string, ...of: number[]) => of.map((vendorCode) => ({ vendorCode, kind: 'refused', code: `lark.${code}` }))
  const unavailable = (code: string, ...of: number[]) => of.map((vendorCode) => ({ vendorCode, kind: 'unavailable', code: `lark.${code}` }))
  const wait = (code: string, ...of: number[]) => of.map((vendorCode) => ({ vendorCode, kind: 'wait', code: `lark.${code}` }))
  const cases = [
    ...wait('rate_limited', 1254290, 99991400),
    ...wait('write_pending', 1254608, 1255006),
    ...unavailable('write_conflict', 1254291),
    ...unavailable('unavailable', 1254607, 1254036, 1255001, 1255002, 1255005, 1255040, 1254002, 7777777),
    ...refused('invalid_request', 1254000, 1254001, 1254037),
    ...refused('not_found', 1254003, 1254004, 1254006, 1254040, 1254041, 1254043),
    ...refused('field_unknown', 1254044, 1254045),
    ...refused('field_invalid', 1254015, ...Array.from({ length: 15 }, (_, index) => 1254060 + index), 1254130),
    ...refused('limit_exceeded', 1254103, 1254104),
    ...refused('permission_denied', 1254302, 1254304, 1254306),
  ]
  for (const { vendorCode, kind, code } of cases) {
    lark.script.push(answer({ code: vendorCode, msg: 'secret words of the vendor' }))
    const outcome = await client.update(table, 'rec1', { Title: 'x' }, call())
    t.match(outcome, { kind, code }, `${vendorCode} is ${code}`)
    t.equal('message' in outcome && outcome.message, `${larkErrors[code as 'lark.not_found'].meaning} (${vendorCode})`)
  }
})

t.test('HTTP troubles: 5xx, pages, redirects, cut and silent connections', async (t) => {
  const { lark, client } = await setUp(t, { timeoutMs: 1500 })
  const unavailable = { kind: 'unavailable', code: 'lark.unavailable' }
  for (const scripted of [
    answer('<html>bad gateway</html>', 502),
    answer({ code: 1255001 }, 500),
    answer('<html>moved</html>', 302, { location: `${lark.url}/elsewhere` }),
    { kind: 'drop' },
    { kind: 'hang' },
  ] as const) {
    lark.script.push(scripted)
    t.match(await client.update(table, 'rec1', { Title: 'x' }, call()), unavailable)
  }
  t.equal(lark.requests.filter(({ path }) => path === '/elsewhere').length, 0, 'redirects are not followed')
  const { client: unreachable } = await setUp(t, { baseUrl: 'http://127.0.0.1:1' })
  t.match(await unreachable.create(table, { Title: 'x' }, call()), unavailable, 'a create that was never sent is no matter of doubt')
})

t.test('a rate limit waits as long as Lark says', async (t) => {
  const { lark, client } = await setUp(t)
  lark.script.push(answer({ code: 99991400 }, 400, { 'x-ogw-ratelimit-reset': '7' }))
  t.match(await client.update(table, 'rec1', { Title: 'x' }, call()), { kind: 'wait', code: 'lark.rate_limited', afterMs: 7000 })
  lark.script.push(answer('too many', 429, { 'x-ogw-ratelimit-reset': '3' }))
  t.match(await client.create(table, { Title: 'x' }, call()), { kind: 'wait', code: 'lark.rate_limited', afterMs: 3000 })
})

t.test('tokens: one for many calls, fetched early, replaced once when refused', async (t) => {
  await t.test('calls at the same time share one', async (t) => {
    const { lark, client } = await setUp(t)
    const tables = Array.from({ length: 8 }, (_, index) => ({ ...table, tableId: `tbl${index}` }))
    const outcomes = await Promise.all(tables.map((each) => client.create(each, { Title: 'x' }, call())))
    t.same(new Set(outcomes.map(({ kind }) => kind)), new Set(['done']))
    t.equal(lark.stub.tokensIssued, 1)
  })
  await t.test('one that is about to end is replaced before', async (t) => {
    const { lark, client } = await setUp(t)
    lark.stub.expireSeconds = 0
    await client.create(table, { Title: 'x' }, call('a'))
    await client.create(table, { Title: 'x' }, call('b'))
    t.equal(lark.stub.tokensIssued, 2)
  })
  for (const code of [99991663, 99991661, 99991668]) {
    await t.test(`refused with ${code}`, async (t) => {
      const { lark, client } = await setUp(t)
      lark.script.push(answer({ code }, 400))
      t.equal((await client.create(table, { Title: 'x' }, call())).kind, 'done')
      t.equal(lark.stub.tokensIssued, 2)
      lark.script.push(answer({ code }, 400), answer({ code }, 400))
      t.match(await client.create(table, { Title: 'y' }, call('other')), { kind: 'refused', code: 'lark.authentication_failed' })
    })
  }
  await t.test('wrong credentials are refused for good', async (t) => {
    const { client } = await setUp(t, { appSecret: 'wrong-secret' })
    const outcome = await client.create(table, { Title: 'x' }, call())
    t.match(outcome, { kind: 'refused', code: 'lark.authentication_failed' })
    t.notMatch(JSON.stringify(outcome), /wrong-secret/)
  })
})

t.test('client tokens are stable UUIDs of version 4', async (t) => {
  const token = toClientToken('ext_job1', 'create', 0)
  t.match(token, /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
  t.equal(toClientToken('ext_job1', 'create', 0), token)
  t.equal(
    new Set([token, toClientToken('ext_job2', 'create', 0), toClientToken('ext_job1', 'upsert', 0), toClientToken('ext_job1', 'create', 1)])
      .size,
    4,
  )
})

t.test('a create whose answer is lost is unconfirmed, and repeating it makes no second record', async (t) => {
  const { lark, client, records } = await setUp(t, { timeoutMs: 1500 })
  for (const kind of ['work-then-hang', 'work-then-drop'] as const) {
    lark.script.push({ kind })
    t.match(await client.create(table, { Title: kind }, call(kind)), { kind: 'unconfirmed', code: 'lark.outcome_unknown' })
    t.equal((await client.create(table, { Title: kind }, call(kind))).kind, 'done')
  }
  t.equal(records.size, 2)
})

t.test('batches go out by the thousand and come back in input order', async (t) => {
  const { lark, client, records } = await setUp(t)
  const made = await client.batchCreate(
    table,
    Array.from({ length: 2500 }, (_, index) => ({ fields: { n: index } })),
    call(),
  )
  if (made.kind !== 'done') return t.fail(made.code)
  t.equal(made.value.length, 2500)
  t.same(
    made.value.map((id) => records.get(id)?.['n']),
    Array.from({ length: 2500 }, (_, index) => index),
  )
  t.same(
    writes(lark.requests).map(({ body }) => JSON.parse(body).records.length),
    [1000, 1000, 500],
  )
  const changed = await client.batchUpdate(
    table,
    made.value.map((recordId) => ({ recordId, fields: { done: true } })),
    call(),
  )
  t.same(changed, made)
  t.equal([...records.values()].filter(({ done }) => done === true).length, 2500)
})

t.test('two workers never write to one table at once', async (t) => {
  const { lark, client, open } = await setUp(t)
  const release = lark.holdWrites()
  const first = client.create(table, { Title: 'first' }, call('first'))
  await eventually('a write is under way', () => lark.isWriting(table.appToken, table.tableId))
  const second = await open().create(table, { Title: 'second' }, call('second'))
  t.match(second, { kind: 'wait', code: 'lark.table_busy' })
  release()
  t.equal((await first).kind, 'done')
  t.equal(lark.stub.conflicts, 0)
  t.equal((await open().create(table, { Title: 'second' }, call('second'))).kind, 'done', 'the lock is free again')
})

t.test('deleting: gone already is an error at first and success when repeated', async (t) => {
  const { client, records } = await setUp(t)
  records.set('rec9', { Title: 'x' })
  const begin = async () => {}
  t.match(await client.delete(table, 'rec9', { ...call(), isRepeated: false, begin }), { kind: 'done', value: 'rec9' })
  t.match(await client.delete(table, 'rec9', { ...call(), isRepeated: false, begin }), { kind: 'refused', code: 'lark.not_found' })
  t.match(await client.delete(table, 'rec9', { ...call(), isRepeated: true, begin }), { kind: 'done', value: 'rec9' })
})

t.test('upsert: created, remembered, found again, unchanged, ambiguous', async (t) => {
  const { lark, client, records, store } = await setUp(t)
  const key = { keyField: 'meetingId', keyValue: 'weekly-42' }
  const forget = async () => {
    const [name] = await store.redis.keys(`${store.keys.prefix}*lark-record*`)
    await store.redis.del(name as string)
  }
  const created = await client.upsert(table, key, { Title: 'one' }, call('j1'))
  t.match(created, { kind: 'done', value: { status: 'created' } })
  t.match(await client.upsert(table, key, { Title: 'two' }, call('j2')), { kind: 'done', value: { status: 'updated' } })
  t.equal(lark.requests.filter(({ path }) => path.endsWith('/search')).length, 1, 'the second time the record is remembered')
  await forget()
  t.match(await client.upsert(table, key, { Title: 'two' }, call('j3')), { kind: 'done', value: { status: 'unchanged' } })
  await forget()
  t.match(await client.upsert(table, key, { Title: 'three' }, call('j4')), { kind: 'done', value: { status: 'updated' } })
  records.clear()
  t.match(await client.upsert(table, key, { Title: 'four' }, call('j5')), { kind: 'done', value: { status: 'created' } })
  records.set('recTwin', { meetingId: 'weekly-42' })
  await forget()
  t.match(await client.upsert(table, key, { Title: 'five' }, call('j6')), { kind: 'refused', code: 'lark.record_ambiguous' })
})

t.test('an abort ends a call under way and frees the table', async (t) => {
  const { lark, client } = await setUp(t)
  const stop = new AbortController()
  const release = lark.holdWrites()
  const running = client.update(table, 'rec1', { Title: 'x' }, call('j', stop.signal))
  await eventually('a write is under way', () => lark.isWriting(table.appToken, table.tableId))
  stop.abort('cancelled')
  t.match(await running, { kind: 'unavailable', code: 'lark.unavailable' })
  release()
  await eventually('the stub is done', () => !lark.isWriting(table.appToken, table.tableId))
  t.equal((await client.create(table, { Title: 'x' }, call('k'))).kind, 'done')
  t.match(await client.create(table, { Title: 'x' }, call('l', stop.signal)), { kind: 'unavailable' }, 'nothing is sent once aborted')
})

t.test("Lark's own SDK agrees with the stub", async (t) => {
  const { lark, records } = await setUp(t)
  const sdk = new Client({
    appId: lark.appId,
    appSecret: lark.appSecret,
    appType: AppType.SelfBuild,
    domain: lark.url,
    loggerLevel: LoggerLevel.fatal,
  })
  const path = { app_token: table.appToken, table_id: table.tableId }
  const params = { client_token: toClientToken('sdk', 'create', 0) }
  const created = await sdk.bitable.v1.appTableRecord.create({ path, params, data: { fields: { Title: 'by the SDK' } } })
  t.equal(created.code, 0)
  const recordId = created.data?.record?.record_id as string
  t.same(records.get(recordId), { Title: 'by the SDK' })
  const updated = await sdk.bitable.v1.appTableRecord.update({
    path: { ...path, record_id: recordId },
    data: { fields: { Title: 'again' } },
  })
  t.equal(updated.code, 0)
  const filter = { conjunction: 'and' as const, conditions: [{ field_name: 'Title', operator: 'is' as const, value: ['again'] }] }
  const found = await sdk.bitable.v1.appTableRecord.search({ path, data: { filter } })
  t.equal(found.data?.items?.[0]?.record_id, recordId)
  const batch = await sdk.bitable.v1.appTableRecord.batchCreate({ path, data: { records: [{ fields: { n: 1 } }, { fields: { n: 2 } }] } })
  t.equal(batch.data?.records?.length, 2)
  const refused = await sdk.bitable.v1.appTableRecord.delete({ path: { ...path, record_id: 'recNone' } })
  t.equal(refused.code, 1254043)
})

// Ends the file, and with it the one Redis of all its tests.
t.end()
