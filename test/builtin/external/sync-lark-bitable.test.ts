// sync-lark-bitable: every action, repeats without doubles, waiting for a busy table.

import t, { type Test } from 'tap'
import { syncLarkBitable } from '../../../src/builtin/external/sync-lark-bitable.js'
import { createLock } from '../../../src/redis/lock.js'
import { openLark } from '../../../src/vendors/lark/lark.js'
import { eventually } from '../../helpers/eventually.js'
import { createValidator } from '../../helpers/mail-jobs.js'
import { type AttemptOptions, runAttempt, startStores } from '../../helpers/vendor-attempt.js'
import { startLarkStub } from '../../helpers/vendor-stubs/lark.js'
import { answer } from '../../helpers/vendor-stubs/stub-server.js'

const newStore = await startStores(t)
const table = { appToken: 'bascnStub', tableId: 'tblStub' }
const fields = { Title: 'Weekly' }

const setUp = async (t: Test, { timeoutMs = 10_000 } = {}) => {
  const store = newStore()
  const stub = await startLarkStub(t)
  const lock = createLock(store)
  const settings = { baseUrl: stub.url, appId: stub.appId, appSecret: stub.appSecret, timeoutMs, meetings: { keyField: 'meetingId' } }
  const lark = openLark({ settings, ...store, lock })
  t.after(() => lark.close())
  const run = (data: object, more: Partial<AttemptOptions> = {}) =>
    runAttempt(syncLarkBitable, data, { store, integrations: { lark }, ...more })
  return { stub, run, lock, records: stub.records(table.appToken, table.tableId) }
}

t.test('success of every action', async (t) => {
  const { run, records } = await setUp(t)
  const created = await run({ action: 'create', ...table, fields })
  t.match(created, { kind: 'done', result: { status: 'created', count: 1, recordId: 'rec1' } })
  t.same(await run({ action: 'create', ...table, fields }), created, 'run again, it is the same record')
  const made = await run({ action: 'batch-create', ...table, records: [{ fields }, { fields: { Title: 'Other' } }] })
  t.match(made, { kind: 'done', result: { status: 'created', count: 2, recordIds: ['rec2', 'rec3'] } })
  t.match(await run({ action: 'update', ...table, recordId: 'rec1', fields: { n: 1 } }), {
    kind: 'done',
    result: { status: 'updated', recordId: 'rec1' },
  })
  const both = [
    { recordId: 'rec2', fields: { n: 2 } },
    { recordId: 'rec3', fields: { n: 3 } },
  ]
  t.match(await run({ action: 'batch-update', ...table, records: both }), { kind: 'done', result: { status: 'updated', count: 2 } })
  t.same(
    [...records.values()].map(({ n }) => n),
    [1, 2, 3],
  )
  const remove = { action: 'delete', ...table, recordId: 'rec1' }
  t.match(await run(remove), { kind: 'done', result: { status: 'deleted', recordId: 'rec1' } })
  t.match(await run(remove), { kind: 'done' }, 'run again, what is gone counts as deleted')
  const never = { ...remove, recordId: 'recNever' }
  for (const attempt of [1, 2]) t.match(await run(never, { jobId: 'ext_never', attempt }), { kind: 'fail', code: 'lark.not_found' })
  t.match(await run(remove, { jobId: 'ext_other' }), { kind: 'fail', code: 'lark.not_found' }, 'another job finds nothing')
})

t.test('permanent failure, retry, defer', async (t) => {
  const { stub, run, lock } = await setUp(t)
  const update = { action: 'update', ...table, recordId: 'rec1', fields }
  stub.script.push(answer({ code: 1254045 }), answer({ code: 1255040 }), answer({ code: 99991400 }, 400, { 'x-ogw-ratelimit-reset': '2' }))
  t.match(await run(update), { kind: 'fail', code: 'lark.field_unknown' })
  t.match(await run(update), { kind: 'retry', code: 'lark.unavailable' })
  t.match(await run(update), { kind: 'defer', code: 'lark.rate_limited', afterMs: 2000 })
  const held = await lock(`lark:${table.appToken}:${table.tableId}`, 60_000)
  t.match(await run(update), { kind: 'defer', code: 'lark.table_busy' })
  await held?.release()
  t.match(await run(update), { kind: 'fail', code: 'lark.not_found' })
})

t.test('a create whose answer is lost is repeated under the same token', async (t) => {
  const { stub, run, records } = await setUp(t, { timeoutMs: 1500 })
  const create = { action: 'create', ...table, fields }
  stub.script.push({ kind: 'work-then-hang' }, answer({ code: 1254608 }))
  t.match(await run(create), { kind: 'retry', code: 'lark.outcome_unknown' })
  t.match(await run(create), { kind: 'defer', code: 'lark.write_pending' })
  t.match(await run(create), { kind: 'done', result: { recordId: 'rec1' } })
  t.equal(records.size, 1)
})

t.test('a batch beyond the limit of Lark is split, and repeated without doubles', async (t) => {
  const { stub, run, records } = await setUp(t, { timeoutMs: 1500 })
  const data = { action: 'batch-create', ...table, records: Array.from({ length: 2500 }, (_, n) => ({ fields: { n } })) }
  t.ok(createValidator(syncLarkBitable.data)(data))
  stub.script.push({ kind: 'work-then-hang' })
  t.match(await run(data), { kind: 'retry', code: 'lark.outcome_unknown' })
  const outcome = await run(data)
  t.match(outcome, { kind: 'done', result: { status: 'created', count: 2500 } })
  if (outcome.kind !== 'done') return
  t.ok(createValidator(syncLarkBitable.result)(outcome.result))
  const { recordIds } = outcome.result as { recordIds: string[] }
  t.same(
    recordIds.map((id) => records.get(id)?.['n']),
    data.records.map(({ fields: { n } }) => n),
    'in input order',
  )
  t.equal(records.size, 2500)
})

t.test('abort', async (t) => {
  const { stub, run } = await setUp(t, { timeoutMs: 1500 })
  const stop = new AbortController()
  stub.script.push({ kind: 'hang' })
  const running = run({ action: 'create', ...table, fields }, { signal: stop.signal })
  await eventually('the request is out', () => stub.requests.some(({ path }) => path.endsWith('/records')))
  stop.abort('cancelled')
  t.match(await running, { kind: 'retry', code: 'lark.outcome_unknown' })
})

t.test('fields of columns are bounded in depth', async (t) => {
  const deep = { Title: { a: { b: { c: { d: { e: { f: 1 } } } } } } }
  const check = (data: object) => syncLarkBitable.check?.(data as never, {} as never).map(({ pointer }) => pointer)
  t.same(check({ action: 'create', ...table, fields }), [])
  t.same(check({ action: 'create', ...table, fields: deep }), ['#/data/fields'])
  t.same(check({ action: 'batch-create', ...table, records: [{ fields }, { fields: deep }] }), ['#/data/records/1/fields'])
})

// Ends the file, and with it the one Redis of all its tests.
t.end()
