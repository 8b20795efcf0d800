// sync-tencent-meeting: every action, and one meeting a create, whatever happens to answers and workers.

import t, { type Test } from 'tap'
import { syncTencentMeeting } from '../../../src/builtin/external/sync-tencent-meeting.js'
import { createCallQuota } from '../../../src/vendors/call-quota.js'
import { openTencentMeeting } from '../../../src/vendors/tencent-meeting/tencent-meeting.js'
import { eventually } from '../../helpers/eventually.js'
import { type AttemptOptions, runAttempt, startStores } from '../../helpers/vendor-attempt.js'
import { answer } from '../../helpers/vendor-stubs/stub-server.js'
import { startTencentStub, tencentError } from '../../helpers/vendor-stubs/tencent-meeting.js'

const newStore = await startStores(t)
const meetingData = { subject: 'Weekly', startTime: '2030-01-07T09:00:00.000Z', endTime: '2030-01-07T10:00:00.000Z' }
const create = { action: 'create' as const, meetingId: 'weekly-42', meetingData }

const setUp = async (t: Test, { timeoutMs = 10_000, userId = 'tester' as string | null } = {}) => {
  const store = newStore()
  const stub = await startTencentStub(t)
  const settings = {
    baseUrl: stub.url,
    secretId: stub.secretId,
    secretKey: stub.secretKey,
    appId: stub.appId,
    userId: userId ?? undefined,
    instanceId: 1,
    timeoutMs,
  }
  const quota = createCallQuota({ redis: store.redis, keys: store.keys, vendor: 't', quotas: [{ calls: 1000, windowMs: 60_000 }] })
  const tencentMeeting = openTencentMeeting({ settings, quota, stsTokens: { read: async () => null } })
  t.after(() => tencentMeeting.close())
  const run = (data: object, more: Partial<AttemptOptions> = {}) =>
    runAttempt(syncTencentMeeting, data, { store, integrations: { tencentMeeting }, ...more })
  return { stub, run }
}

t.test('success of every action', async (t) => {
  const { stub, run } = await setUp(t)
  const created = await run(create)
  t.match(created, { kind: 'done', result: { status: 'created', meetingId: 'weekly-42', meetingCode: '123456789' } })
  t.same(await run(create, { attempt: 2 }), created, 'run again, it completes without creating again')
  t.equal(stub.meetings.size, 1)
  const [tencentMeetingId] = [...stub.meetings.keys()]
  const done = (status: string) => ({ kind: 'done', result: { status, tencentMeetingId } })
  t.match(await run({ action: 'update', tencentMeetingId, meetingData: { subject: 'Moved' } }), done('updated'))
  t.match(await run({ action: 'fetch', tencentMeetingId }), {
    ...done('fetched'),
    result: { meeting: { subject: 'Moved', endTime: meetingData.endTime } },
  })
  t.match(await run({ action: 'delete', tencentMeetingId, reasonDetail: 'no need' }), done('deleted'))
  t.match(await run({ action: 'delete', tencentMeetingId }), done('deleted'), 'twice is no harm')
})

t.test('permanent failure', async (t) => {
  const { stub, run } = await setUp(t)
  t.match(await run({ action: 'fetch', tencentMeetingId: '1' }), { kind: 'fail', code: 'tencent.meeting_not_found' })
  stub.script.push(answer(tencentError(500029).body, 500))
  t.match(await run(create), { kind: 'fail', code: 'tencent.quota_exhausted' })
  const { run: nobody } = await setUp(t, { userId: null })
  t.match(await nobody(create), { kind: 'fail', code: 'not_configured', message: /TENCENT_MEETING_USER_ID/ })
})

t.test('retry and defer', async (t) => {
  const { stub, run } = await setUp(t)
  stub.script.push(answer(tencentError(9061).body, 500))
  t.match(await run({ action: 'fetch', tencentMeetingId: '1' }), { kind: 'retry', code: 'tencent.unavailable' })
  stub.script.push(answer(tencentError(190310).body, 500))
  t.match(await run(create), { kind: 'defer', code: 'tencent.rate_limited' })
  t.match(await run(create), { kind: 'done' }, 'a create that was plainly refused needs no looking up')
  t.equal(stub.requests.filter(({ method }) => method === 'GET').length, 1)
})

t.test('a create whose answer is lost is found and adopted', async (t) => {
  for (const kind of ['work-then-hang', 'work-then-drop'] as const) {
    const { stub, run } = await setUp(t, { timeoutMs: 1500 })
    stub.script.push({ kind })
    t.match(await run(create), { kind: 'defer', code: 'tencent.outcome_unknown' })
    const [tencentMeetingId] = [...stub.meetings.keys()]
    t.match(await run(create), { kind: 'done', result: { status: 'created', tencentMeetingId } })
    t.equal(stub.meetings.size, 1)
  }
})

t.test('a create that never arrived is made by the next attempt', async (t) => {
  const { stub, run } = await setUp(t, { timeoutMs: 1500 })
  stub.script.push({ kind: 'hang' })
  t.match(await run(create), { kind: 'defer', code: 'tencent.outcome_unknown' })
  t.match(await run(create), { kind: 'retry', code: 'tencent.unavailable' })
  t.match(await run(create, { attempt: 2 }), { kind: 'done' })
  t.equal(stub.meetings.size, 1)
})

t.test('a create that was begun in time is settled after its time, and none is made then', async (t) => {
  const { stub, run } = await setUp(t, { timeoutMs: 1500 })
  stub.script.push({ kind: 'work-then-drop' })
  t.match(await run(create, { jobId: 'ext_made' }), { kind: 'defer' })
  t.match(await run(create, { jobId: 'ext_made', isExpired: true }), { kind: 'done' })
  stub.meetings.clear()
  stub.script.push({ kind: 'hang' })
  t.match(await run(create, { jobId: 'ext_lost' }), { kind: 'defer' })
  t.match(await run(create, { jobId: 'ext_lost', isExpired: true }), { kind: 'fail', code: 'expired' })
  t.equal(stub.meetings.size, 0)
})

t.test('several meetings that look like it: nobody can tell', async (t) => {
  const { stub, run } = await setUp(t)
  await run(create, { jobId: 'ext_other' })
  stub.script.push({ kind: 'work-then-drop' })
  await run(create)
  t.match(await run(create), { kind: 'fail', code: 'tencent.outcome_unknown' })
  t.equal(stub.meetings.size, 2)
})

t.test('while the list cannot be read, only the question is repeated', async (t) => {
  const { stub, run } = await setUp(t)
  stub.script.push({ kind: 'work-then-drop' }, answer('<html>', 502), answer(tencentError(190310).body, 500))
  await run(create)
  t.match(await run(create), { kind: 'retry', code: 'tencent.outcome_unknown' })
  t.match(await run(create, { attempt: 2 }), { kind: 'defer', code: 'tencent.rate_limited' })
  t.equal(stub.meetings.size, 1)
})

t.test('abort: the call ends, and the create is in doubt', async (t) => {
  const { stub, run } = await setUp(t, { timeoutMs: 1500 })
  const stop = new AbortController()
  stub.script.push({ kind: 'hang' })
  const running = run(create, { signal: stop.signal })
  await eventually('the request is out', () => stub.requests.length === 1)
  stop.abort('cancelled')
  t.match(await running, { kind: 'defer', code: 'tencent.outcome_unknown' })
})

t.test('what the schema cannot see', async (t) => {
  const check = (data: object) => syncTencentMeeting.check?.(data as typeof create, {} as never).map(({ pointer }) => pointer)
  t.same(check(create), [])
  t.same(check({ ...create, meetingData: { ...meetingData, endTime: meetingData.startTime } }), ['#/data/meetingData/endTime'])
  t.same(check({ ...create, meetingData: { ...meetingData, settings: { a: 'x'.repeat(5000) } } }), ['#/data/meetingData/settings'])
})

// Ends the file, and with it the one Redis of all its tests.
t.end()
