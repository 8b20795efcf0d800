// send-sms: one message a job, whatever happens to answers, workers and number limits.

import t, { type Test } from 'tap'
import { sendSms } from '../../../src/builtin/external/send-sms.js'
import { createPartitionKeys } from '../../../src/redis/redis-keys.js'
import { openAliyunSms } from '../../../src/vendors/aliyun-sms/aliyun-sms.js'
import { eventually } from '../../helpers/eventually.js'
import { type AttemptOptions, runAttempt, startStores } from '../../helpers/vendor-attempt.js'
import { startAliyunStub } from '../../helpers/vendor-stubs/aliyun-sms.js'
import { answer } from '../../helpers/vendor-stubs/stub-server.js'

const newStore = await startStores(t)
const data = { phoneNumber: '+8613800138000', templateCode: 'SMS_1', templateParams: { code: '871205' } }
const secrets = /13800138000|871205/

const setUp = async (
  t: Test,
  { timeoutMs = 10_000, signName = 'Jobgate' as string | null, perNumberLimits = [{ count: 100, windowMs: 60_000 }] } = {},
) => {
  const store = newStore()
  const stub = await startAliyunStub(t)
  const clock = { now: Date.now() }
  const { accessKeyId, accessKeySecret } = stub
  const settings = {
    endpoint: stub.url,
    accessKeyId,
    accessKeySecret,
    signName: signName ?? undefined,
    templates: ['SMS_1'],
    timeoutMs,
    perNumberLimits,
    rememberMs: 600_000,
  }
  const aliyunSms = openAliyunSms({ settings, ...store, now: () => clock.now })
  t.after(() => aliyunSms.close())
  const run = (more: Partial<AttemptOptions> & { data?: object } = {}) =>
    runAttempt(sendSms, { ...data, ...more.data }, { store, integrations: { aliyunSms }, ...more })
  return { stub, store, clock, run }
}

t.test('success; run again, it completes without sending again', async (t) => {
  const { stub, run } = await setUp(t)
  const wanted = { kind: 'done', result: { bizId: 'biz-1', vendorRequestId: 'req-1', reconciled: false } }
  t.same(await run(), wanted)
  t.same(await run({ attempt: 2 }), wanted)
  t.equal(stub.sent.length, 1)
})

t.test('permanent failure', async (t) => {
  const { stub, run } = await setUp(t)
  stub.script.push(answer({ Code: 'isv.MOBILE_NUMBER_ILLEGAL', Message: data.phoneNumber }))
  const outcome = await run()
  t.match(outcome, { kind: 'fail', code: 'sms.number_refused' })
  t.notMatch(JSON.stringify(outcome), secrets)
  t.match(await run({ data: { templateCode: 'SMS_9' } }), { kind: 'fail', code: 'sms.template_not_allowed' })
  const { run: unsigned } = await setUp(t, { signName: null })
  t.match(await unsigned(), { kind: 'fail', code: 'not_configured', message: /ALIYUN_SMS_SIGN_NAME/ })
})

t.test('an answer that is lost: found in the records, never sent twice', async (t) => {
  for (const kind of ['work-then-hang', 'work-then-drop'] as const) {
    const { stub, run } = await setUp(t, { timeoutMs: 1500 })
    stub.script.push({ kind })
    const first = await run()
    t.match(first, { kind: 'defer', code: 'sms.outcome_unknown', afterMs: 30_000 })
    t.notMatch(JSON.stringify(first), secrets)
    t.same(await run(), { kind: 'done', result: { bizId: null, vendorRequestId: null, reconciled: true } })
    t.equal(stub.sent.length, 1)
  }
})

t.test('retry: a message that was never taken is sent by the next attempt, after 30 s of looking', async (t) => {
  const { stub, clock, run } = await setUp(t, { timeoutMs: 1500 })
  stub.script.push({ kind: 'hang' })
  t.match(await run(), { kind: 'defer', code: 'sms.outcome_unknown' })
  t.match(await run(), { kind: 'defer', code: 'sms.outcome_unknown' }, 'too early to tell')
  clock.now += 31_000
  t.match(await run(), { kind: 'retry', code: 'sms.unavailable' })
  t.equal(stub.sent.length, 0)
  t.match(await run({ attempt: 2 }), { kind: 'done', result: { reconciled: false } })
  t.equal(stub.sent.length, 1)
})

t.test('while the records cannot be read, only the question is repeated', async (t) => {
  const { stub, clock, run } = await setUp(t, { timeoutMs: 1500 })
  stub.script.push({ kind: 'hang' }, answer('<html>', 502), { kind: 'drop' })
  await run()
  clock.now += 31_000
  t.match(await run(), { kind: 'retry', code: 'sms.outcome_unknown' })
  t.match(await run({ attempt: 2 }), { kind: 'retry', code: 'sms.outcome_unknown' })
  t.equal(stub.requests.filter(({ headers }) => headers['x-acs-action'] === 'SendSms').length, 1)
})

t.test('a worker that died after handing over: the next one looks first', async (t) => {
  const { stub, run, store } = await setUp(t)
  await run()
  const marker = createPartitionKeys(store.keys.prefix).marker('ext_00000000000000000001')
  await store.redis.set(marker, JSON.stringify({ state: 'begun' }))
  t.match(await run(), { kind: 'done', result: { reconciled: true } })
  t.equal(stub.sent.length, 1)
})

t.test('what was begun in time is settled after its time, and nothing is sent then', async (t) => {
  const { stub, run, clock } = await setUp(t)
  stub.script.push({ kind: 'work-then-drop' })
  t.match(await run({ jobId: 'ext_sent' }), { kind: 'defer' })
  t.match(await run({ jobId: 'ext_sent', isExpired: true }), { kind: 'done', result: { reconciled: true } })
  stub.script.push({ kind: 'hang' })
  t.match(await run({ jobId: 'ext_lost' }), { kind: 'defer' })
  clock.now += 31_000
  t.match(await run({ jobId: 'ext_lost', isExpired: true }), { kind: 'fail', code: 'expired' })
  t.equal(stub.sent.length, 1)
})

t.test('defer and fail on limits: notifications wait, one-time codes do not', async (t) => {
  const { stub, run } = await setUp(t, { perNumberLimits: [{ count: 1, windowMs: 60_000 }] })
  stub.script.push(answer({ Code: 'Throttling.User' }))
  t.match(await run({ jobId: 'ext_a' }), { kind: 'defer', code: 'sms.rate_limited' })
  t.match(await run({ jobId: 'ext_a' }), { kind: 'done' })
  t.match(await run({ jobId: 'ext_b' }), { kind: 'defer', code: 'sms.number_limited' })
  t.match(await run({ jobId: 'ext_c', data: { purpose: 'otp' } }), { kind: 'fail', code: 'sms.number_limited' })
  t.equal(stub.sent.length, 1)
})

t.test('abort: the call ends, and the message is in doubt', async (t) => {
  const { stub, run } = await setUp(t, { timeoutMs: 1500 })
  const stop = new AbortController()
  stub.script.push({ kind: 'hang' })
  const running = run({ signal: stop.signal })
  await eventually('the request is out', () => stub.requests.length === 1)
  stop.abort('cancelled')
  t.match(await running, { kind: 'defer', code: 'sms.outcome_unknown' })
  t.match(await run({ jobId: 'ext_x', signal: stop.signal }), { kind: 'retry', code: 'sms.unavailable' }, 'nothing is sent once aborted')
  t.equal(stub.requests.length, 1)
})

t.test('a one-time code expires after five minutes, a notification does not', async (t) => {
  t.same(sendSms.timing?.({ ...data, purpose: 'otp' }, 1000), { expiresAt: 301_000 })
  t.same(sendSms.timing?.(data, 1000), {})
})

// Ends the file, and with it the one Redis of all its tests.
t.end()
