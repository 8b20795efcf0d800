// sync-meeting-data: both targets, one record a meeting, and what is not configured.

import t, { type Test } from 'tap'
import { syncMeetingData } from '../../../src/builtin/meeting/sync-meeting-data.js'
import { createLock } from '../../../src/redis/lock.js'
import { createCallQuota } from '../../../src/vendors/call-quota.js'
import { openLark } from '../../../src/vendors/lark/lark.js'
import { openTencentMeeting } from '../../../src/vendors/tencent-meeting/tencent-meeting.js'
import { eventually } from '../../helpers/eventually.js'
import { type AttemptOptions, runAttempt, startStores } from '../../helpers/vendor-attempt.js'
import { startLarkStub } from '../../helpers/vendor-stubs/lark.js'
import { answer } from '../../helpers/vendor-stubs/stub-server.js'
import { startTencentStub } from '../../helpers/vendor-stubs/tencent-meeting.js'

const newStore = await startStores(t)
const table = { appToken: 'bascnStub', tableId: 'tblStub' }
const meetingData = {
  title: 'Weekly',
  startTime: '2030-01-07T09:00:00.000Z',
  participants: [{ name: 'Ada' }, { name: 'Grace' }],
  custom: { Room: 7 },
}
const toLark = { syncTarget: 'lark-bitable', meetingId: 'weekly-42', meetingData, fieldMap: { title: 'Title' } }

const setUp = async (
  t: Test,
  { timeoutMs = 10_000, meetings = { ...table, keyField: 'meetingId' } as { appToken?: string; tableId?: string; keyField: string } } = {},
) => {
  const store = newStore()
  const [stub, tencent] = [await startLarkStub(t), await startTencentStub(t)]
  const lark = openLark({
    settings: { baseUrl: stub.url, appId: stub.appId, appSecret: stub.appSecret, timeoutMs, meetings },
    ...store,
    lock: createLock(store),
  })
  const quota = createCallQuota({ redis: store.redis, keys: store.keys, vendor: 't', quotas: [{ calls: 1000, windowMs: 60_000 }] })
  const { secretId, secretKey, appId } = tencent
  const settings = { baseUrl: tencent.url, secretId, secretKey, appId, userId: 'tester', instanceId: 1, timeoutMs }
  const tencentMeeting = openTencentMeeting({ settings, quota, stsTokens: { read: async () => null } })
  t.after(() => Promise.all([lark.close(), tencentMeeting.close()]))
  const run = (data: object, more: Partial<AttemptOptions> = {}) =>
    runAttempt(syncMeetingData, data, { store, integrations: { lark, tencentMeeting }, ...more })
  return { stub, tencent, run, records: stub.records(table.appToken, table.tableId) }
}

t.test('to Lark: created, then updated, in the configured table', async (t) => {
  const { run, records } = await setUp(t)
  const syncedFields = ['Room', 'title', 'startTime', 'participants']
  t.match(await run(toLark), { kind: 'done', result: { status: 'created', externalId: 'rec1', syncedFields } })
  t.match(await run(toLark, { jobId: 'meet_2' }), { kind: 'done', result: { status: 'updated', externalId: 'rec1' } })
  t.same(
    [...records.values()],
    [{ meetingId: 'weekly-42', Title: 'Weekly', startTime: 1_894_006_800_000, participants: 'Ada, Grace', Room: 7 }],
  )
})

t.test('to Tencent Meeting: title and times', async (t) => {
  const { run, tencent } = await setUp(t)
  tencent.meetings.set('77', { meeting_id: '77' })
  const data = { syncTarget: 'tencent-meeting', meetingId: 'weekly-42', tencentMeetingId: '77', meetingData }
  t.match(await run(data), { kind: 'done', result: { status: 'updated', externalId: '77', syncedFields: ['title', 'startTime'] } })
  t.equal(tencent.meetings.get('77')?.['subject'], 'Weekly')
  t.match(await run({ ...data, tencentMeetingId: '78' }), { kind: 'fail', code: 'tencent.meeting_not_found' })
})

t.test('failure, retry, and what is not configured', async (t) => {
  const { run, stub } = await setUp(t)
  stub.script.push(answer({ code: 1254302 }), answer({ code: 1254607 }))
  t.match(await run(toLark), { kind: 'fail', code: 'lark.permission_denied' })
  t.match(await run(toLark), { kind: 'retry', code: 'lark.unavailable' })
  t.match(await run(toLark, { integrations: {} }), { kind: 'fail', code: 'not_configured', message: /LARK_APP_ID/ })
  const { run: tableless } = await setUp(t, { meetings: { keyField: 'meetingId' } })
  t.match(await tableless(toLark), { kind: 'fail', code: 'not_configured', message: /LARK_MEETING_TABLE_ID/ })
  t.match(await tableless({ ...toLark, ...table }), { kind: 'done' })
})

t.test('what the schema cannot see', async (t) => {
  const check = (data: object) => syncMeetingData.check?.(data as never, {} as never).map(({ pointer }) => pointer)
  t.same(check(toLark), [])
  t.same(check({ ...toLark, appToken: 'a' }), ['#/data/tableId'])
  t.same(check({ ...toLark, fieldMap: { title: 'startTime' } }), ['#/data/fieldMap'])
  const toTencent = { syncTarget: 'tencent-meeting', meetingId: 'm', tencentMeetingId: '7' }
  t.same(check({ ...toTencent, meetingData: { agenda: 'x' } }), ['#/data/meetingData'])
  t.same(check({ ...toTencent, meetingData: { startTime: meetingData.startTime, endTime: meetingData.startTime } }), [
    '#/data/meetingData/endTime',
  ])
})

t.test('abort', async (t) => {
  const { stub, run } = await setUp(t, { timeoutMs: 1500 })
  const stop = new AbortController()
  stub.script.push({ kind: 'hang' })
  const running = run(toLark, { signal: stop.signal })
  await eventually('the request is out', () => stub.requests.some(({ path }) => path.endsWith('/search')))
  stop.abort('cancelled')
  t.match(await running, { kind: 'retry', code: 'lark.unavailable' })
})

// Ends the file, and with it the one Redis of all its tests.
t.end()
