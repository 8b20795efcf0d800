// Meetings at Tencent Meeting: signatures, every error code, limits, lists, STS tokens.

import t, { type Test } from 'tap'
import { createCallQuota } from '../../src/vendors/call-quota.js'
import { tencentErrors } from '../../src/vendors/tencent-meeting/job-errors.js'
import { signTencentRequest } from '../../src/vendors/tencent-meeting/request-signature.js'
import { openTencentMeeting } from '../../src/vendors/tencent-meeting/tencent-meeting.js'
import { createVendorTokens, vendorTokenKey } from '../../src/vendors/tokens.js'
import { startStores } from '../helpers/vendor-attempt.js'
import { answer } from '../helpers/vendor-stubs/stub-server.js'
import { startTencentStub, tencentError } from '../helpers/vendor-stubs/tencent-meeting.js'

const newStore = await startStores(t)
const meeting = { subject: 'Weekly', startTime: '2030-01-07T09:00:00.000Z', endTime: '2030-01-07T10:00:00.000Z' }
const caller = { userId: 'tester' }
const { signal } = new AbortController()

const setUp = async (
  t: Test,
  { timeoutMs = 10_000, secretKey = 'stub-key', baseUrl = '', calls = 10_000, sts = null as string | null, now = Date.now } = {},
) => {
  const store = newStore()
  const stub = await startTencentStub(t)
  const quota = createCallQuota({ redis: store.redis, keys: store.keys, vendor: 't', quotas: [{ calls, windowMs: 86_400_000 }] })
  const settings = { baseUrl: baseUrl || stub.url, secretId: stub.secretId, secretKey, appId: stub.appId, instanceId: 1, timeoutMs }
  const client = openTencentMeeting({ settings, quota, stsTokens: { read: async () => sts }, now })
  t.after(() => client.close())
  return { stub, client, store }
}

t.test('the golden signature', async (t) => {
  const parts = {
    method: 'POST',
    uri: '/v1/meetings',
    body: '{"userid":"tester"}',
    secretId: 'jobgate-id',
    nonce: '1234567',
    timestamp: '1767225600',
  }
  t.equal(
    signTencentRequest(parts, 'jobgate-secret'),
    'MjljMTU4MDUzNDFkNzQ5NDViYjlhODM5OGFkN2E2MThlMzhhNTJhMmU3NDY0MDAwYTVmZWNmMGRkMDExMjJlOA==',
  )
})

t.test('every error code of Tencent Meeting has its class, whatever the HTTP status', async (t) => {
  const { stub, client } = await setUp(t)
  const of = (kind: string, code: string, ...codes: number[]) => codes.map((vendorCode) => ({ vendorCode, kind, code: `tencent.${code}` }))
  const cases = [
    ...of('wait', 'rate_limited', 190310, 190313),
    ...of('unavailable', 'unavailable', 9061, 500046, 41, 5108, 960000, 13000, 7777777),
    ...of('refused', 'quota_exhausted', 190311, 500168, 9008, 500029),
    ...of('refused', 'meeting_not_found', 9003),
    ...of('refused', 'refused', 190004, 190303, 200003, 500125, 9042, 9099, 9100, 9101, 9102, 500014, 9093, 13602, 13603, 190001),
  ]
  for (const { vendorCode, kind, code } of cases) {
    for (const status of [500, 200]) {
      stub.script.push(answer(tencentError(vendorCode).body, status))
      const outcome = await client.fetch('1', caller, signal)
      t.match(outcome, { kind, code }, `${vendorCode} with HTTP ${status}`)
      t.equal('message' in outcome && outcome.message, `${tencentErrors[code as 'tencent.refused'].meaning} (${vendorCode})`)
    }
  }
  stub.script.push(answer(tencentError(1, { new_error_code: 190311 }).body, 500))
  t.match(await client.fetch('1', caller, signal), { kind: 'refused', code: 'tencent.quota_exhausted' }, 'the newer code goes first')
})

t.test('190300 and 190301 are signed anew once', async (t) => {
  for (const code of [190300, 190301]) {
    const { stub, client } = await setUp(t)
    stub.script.push(answer(tencentError(code).body, 500))
    t.equal((await client.create(meeting, caller, signal)).kind, 'done')
    t.equal(new Set(stub.requests.map(({ headers }) => headers['x-tc-nonce'])).size, 2)
    stub.script.push(answer(tencentError(code).body, 500), answer(tencentError(code).body, 500))
    t.match(await client.fetch('1', caller, signal), { kind: 'unavailable', code: 'tencent.signature_refused' })
  }
  const { client } = await setUp(t, { now: () => Date.now() - 600_000 })
  t.match(await client.fetch('1', caller, signal), { kind: 'unavailable', code: 'tencent.signature_refused' }, 'a clock ten minutes slow')
})

t.test('create, fetch, update and cancel, with signatures that the stub checks', async (t) => {
  const { stub, client } = await setUp(t)
  const created = await client.create({ ...meeting, hosts: ['tester'], settings: { mute_enable_join: true } }, caller, signal)
  if (created.kind !== 'done') return t.fail(created.code)
  const { tencentMeetingId: id } = created.value
  t.match(JSON.parse(stub.requests[0]?.body as string), {
    userid: 'tester',
    instanceid: 1,
    start_time: '1894006800',
    end_time: '1894010400',
    type: 0,
  })
  t.match(await client.fetch(id, caller, signal), { kind: 'done', value: { ...meeting, tencentMeetingId: id, meetingCode: '123456789' } })
  t.equal((await client.update(id, { subject: 'Moved & renamed' }, caller, signal)).kind, 'done')
  t.equal(stub.meetings.get(id)?.['subject'], 'Moved & renamed')
  t.equal((await client.cancel(id, { reasonDetail: 'no need' }, caller, signal)).kind, 'done')
  t.equal((await client.cancel(id, {}, caller, signal)).kind, 'done', 'what is gone counts as cancelled')
  stub.script.push(answer(tencentError(9007).body, 500))
  t.equal((await client.cancel(id, {}, caller, signal)).kind, 'done')
  const { client: wrong } = await setUp(t, { secretKey: 'wrong-secret' })
  const refused = await wrong.fetch('1', caller, signal)
  t.match(refused, { kind: 'refused', code: 'tencent.refused' })
  t.notMatch(JSON.stringify(refused), /wrong-secret/)
})

t.test('network troubles: in doubt for create alone', async (t) => {
  const { stub, client } = await setUp(t, { timeoutMs: 1500 })
  for (const scripted of [
    { kind: 'hang' },
    { kind: 'work-then-hang' },
    { kind: 'work-then-drop' },
    answer('<html>', 502),
    answer(tencentError(9061).body, 500),
  ] as const) {
    stub.script.push(scripted)
    t.match(await client.create(meeting, caller, signal), { kind: 'unconfirmed', code: 'tencent.outcome_unknown' })
  }
  for (const scripted of [
    { kind: 'hang' },
    { kind: 'drop' },
    answer('<html>', 502),
    answer('moved', 302, { location: '/elsewhere' }),
  ] as const) {
    stub.script.push(scripted)
    t.match(await client.update('1', meeting, caller, signal), { kind: 'unavailable', code: 'tencent.unavailable' })
  }
  const { client: unreachable } = await setUp(t, { baseUrl: 'http://127.0.0.1:1' })
  t.match(await unreachable.create(meeting, caller, signal), { kind: 'unavailable', code: 'tencent.unavailable' })
})

t.test('a meeting in doubt is found by subject, start, end and creator, on every page', async (t) => {
  const { client, stub } = await setUp(t)
  for (let index = 0; index < 45; index++) await client.create({ ...meeting, subject: `Other ${index}` }, caller, signal)
  t.same(await client.findCreated(meeting, caller, signal), { kind: 'done', value: [] })
  t.equal(stub.requests.filter(({ method, path }) => method === 'GET' && path === '/v1/meetings').length, 3)
  await client.create(meeting, { userId: 'somebody-else' }, signal)
  await client.create(meeting, caller, signal)
  t.match(await client.findCreated(meeting, caller, signal), { kind: 'done', value: [{ subject: 'Weekly' }] })
  await client.create(meeting, caller, signal)
  const found = await client.findCreated(meeting, caller, signal)
  t.equal(found.kind === 'done' && found.value.length, 2)
})

t.test('the limit of calls is shared and met before the vendor has to say so', async (t) => {
  const { client, stub } = await setUp(t, { calls: 2 })
  await Promise.all([client.fetch('1', caller, signal), client.fetch('1', caller, signal)])
  const outcome = await client.fetch('1', caller, signal)
  t.match(outcome, { kind: 'wait', code: 'tencent.rate_limited' })
  t.ok(outcome.kind === 'wait' && outcome.afterMs > 0)
  t.equal(stub.requests.length, 2)
})

t.test('STS token: sent where there is one, named where it is missing', async (t) => {
  const { stub, client } = await setUp(t)
  stub.stub.needsSts = 'sts-1'
  t.match(await client.transcript('rec1', 'tester', signal), { kind: 'refused', code: 'tencent.sts_token_missing' })
  const { stub: other, client: withToken } = await setUp(t, { sts: 'sts-1' })
  other.stub.needsSts = 'sts-1'
  t.equal((await withToken.transcript('rec1', 'tester', signal)).kind, 'done')
  t.equal((await withToken.recordingAddresses('rec1', 'tester', signal)).kind, 'done')
})

t.test('tokens of vendors are stored encrypted, until they end', async (t) => {
  const store = newStore()
  const [oldKey, newKey] = [Buffer.alloc(32, 1), Buffer.alloc(32, 2)]
  const tokens = createVendorTokens({ ...store, encryptionKeys: [oldKey] })
  t.equal(await tokens.store('tencent-sts', 'secret-sts-token', Date.now() + 60_000), true)
  t.notMatch(await store.redis.get(vendorTokenKey(store.keys, 'tencent-sts')), /secret-sts-token/)
  t.equal(await createVendorTokens({ ...store, encryptionKeys: [newKey, oldKey] }).read('tencent-sts'), 'secret-sts-token')
  t.equal(await createVendorTokens({ ...store, encryptionKeys: [newKey] }).read('tencent-sts'), null)
  t.equal(await tokens.store('late', 'x', Date.now() - 1), false)
  t.equal(await createVendorTokens({ ...store, encryptionKeys: [] }).store('none', 'x', Date.now() + 60_000), false)
  t.equal(await tokens.read('none'), null)
})

// Ends the file, and with it the one Redis of all its tests.
t.end()
