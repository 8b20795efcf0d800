// Text messages through Aliyun: signatures, every error code, limits per number, looking up what is in doubt.

import * as sms from '@alicloud/dysmsapi20170525'
import t, { type Test } from 'tap'
import { openAliyunSms } from '../../src/vendors/aliyun-sms/aliyun-sms.js'
import { smsErrors } from '../../src/vendors/aliyun-sms/job-errors.js'
import { startStores } from '../helpers/vendor-attempt.js'
import { startAliyunStub } from '../helpers/vendor-stubs/aliyun-sms.js'
import { answer } from '../helpers/vendor-stubs/stub-server.js'

const newStore = await startStores(t)
const phoneNumber = '+8613800138000'
const message = { phoneNumber, templateCode: 'SMS_1', templateParams: { code: '871205' }, purpose: 'notification' } as const

const setUp = async (
  t: Test,
  {
    timeoutMs = 10_000,
    accessKeySecret = 'stub-access-secret',
    endpoint = '',
    now = Date.now,
    limits = [{ count: 1000, windowMs: 60_000 }],
  } = {},
) => {
  const store = newStore()
  const stub = await startAliyunStub(t)
  const settings = {
    endpoint: endpoint || stub.url,
    accessKeyId: stub.accessKeyId,
    accessKeySecret,
    signName: "O'Neill (Test)*!",
    templates: ['SMS_1'],
    timeoutMs,
    perNumberLimits: limits,
    rememberMs: 600_000,
  }
  const client = openAliyunSms({ settings, ...store, now })
  t.after(() => client.close())
  return { stub, client, store, settings }
}

const call = (reference = 'ext_job1') => ({ reference, signal: new AbortController().signal, begin: async () => {} })
const secrets = /13800138000|871205|stub-access-secret/

t.test('a message goes out signed, in the body alone', async (t) => {
  const { stub, client } = await setUp(t)
  t.same(await client.send(message, call()), { kind: 'accepted', bizId: 'biz-1', vendorRequestId: 'req-1' })
  t.match(stub.sent, [{ phoneNumber: '8613800138000', outId: 'ext_job1', templateParam: '{"code":"871205"}' }])
  t.notMatch(stub.requests.map(({ uri }) => uri).join(), secrets)
})

t.test('every error code of Aliyun has its class', async (t) => {
  const { stub, client } = await setUp(t)
  const of = (kind: string, code: string, ...codes: string[]) => codes.map((vendorCode) => ({ vendorCode, kind, code: `sms.${code}` }))
  const cases = [
    ...of('unconfirmed', 'outcome_unknown', 'isp.SYSTEM_ERROR', 'isp.GATEWAY_ERROR', 'ServiceUnavailable', 'InternalError', 'Unheard.Of'),
    ...of('wait', 'rate_limited', 'Throttling', 'Throttling.User'),
    ...of('wait', 'number_limited', 'isv.BUSINESS_LIMIT_CONTROL'),
    ...of('refused', 'quota_exhausted', 'isv.DAY_LIMIT_CONTROL', 'isv.MONTH_LIMIT_CONTROL'),
    ...of('refused', 'number_refused', 'isv.MOBILE_NUMBER_ILLEGAL', 'isv.MOBILE_COUNT_OVER_LIMIT'),
    ...of('refused', 'template_refused', 'isv.SMS_TEMPLATE_ILLEGAL', 'isv.TEMPLATE_MISSING_PARAMETERS', 'isv.INVALID_PARAMETERS'),
    ...of(
      'refused',
      'template_refused',
      'isv.INVALID_JSON_PARAM',
      'isv.BLACK_KEY_CONTROL_LIMIT',
      'isv.PARAM_LENGTH_LIMIT',
      'isv.PARAM_NOT_SUPPORT_URL',
    ),
    ...of('refused', 'signature_refused', 'isv.SMS_SIGNATURE_ILLEGAL'),
    ...of('refused', 'account_refused', 'isv.AMOUNT_NOT_ENOUGH', 'isv.OUT_OF_SERVICE', 'isv.ACCOUNT_NOT_EXISTS', 'isv.ACCOUNT_ABNORMAL'),
    ...of('refused', 'refused', 'isv.UNHEARD_OF'),
    ...of('refused', 'authentication_failed', 'isp.RAM_PERMISSION_DENY', 'InvalidAccessKeyId.NotFound', 'SignatureDoesNotMatch'),
  ]
  for (const { vendorCode, kind, code } of cases) {
    stub.script.push(answer({ Code: vendorCode, Message: `about ${phoneNumber} and 871205` }))
    const outcome = await client.send(message, call())
    t.match(outcome, { kind, code }, vendorCode)
    t.equal('message' in outcome && outcome.message, `${smsErrors[code as 'sms.rate_limited'].meaning} (${vendorCode})`)
  }
})

t.test('anything unclear after the body was sent is unconfirmed; what was never sent is not', async (t) => {
  const { stub, client } = await setUp(t, { timeoutMs: 1500 })
  const unclear = [
    { kind: 'hang' },
    { kind: 'work-then-hang' },
    { kind: 'work-then-drop' },
    answer('<html>', 200),
    answer('<html>', 502),
    answer('x', 302),
  ] as const
  for (const scripted of unclear) {
    stub.script.push(scripted)
    const outcome = await client.send(message, call())
    t.match(outcome, { kind: 'unconfirmed', code: 'sms.outcome_unknown' })
    t.notMatch(JSON.stringify(outcome), secrets)
  }
  stub.script.push(answer({ Code: 'InvalidTimeStamp.Expired' }, 400))
  t.match(
    await client.send(message, call()),
    { kind: 'refused', code: 'sms.refused' },
    'a fault that is named was found before anything was sent',
  )
  const { client: unreachable } = await setUp(t, { endpoint: 'http://127.0.0.1:1' })
  const outcome = await unreachable.send(message, call())
  t.match(outcome, { kind: 'unavailable', code: 'sms.unavailable' })
  t.notMatch(JSON.stringify(outcome), secrets)
  const { client: wrong } = await setUp(t, { accessKeySecret: 'wrong-secret' })
  const refused = await wrong.send(message, call())
  t.match(refused, { kind: 'refused', code: 'sms.authentication_failed' })
  t.notMatch(JSON.stringify(refused), /wrong-secret/)
})

t.test("the vendor's limit of a number: notifications wait as long as it says, one-time codes fail", async (t) => {
  const { stub, client } = await setUp(t)
  for (const [text, afterMs] of [
    ['触发分钟级流控Permits:1', 60_000],
    ['触发小时级流控Permits:5', 3_600_000],
    ['触发天级流控Permits:10', 86_400_000],
  ] as const) {
    stub.script.push(answer({ Code: 'isv.BUSINESS_LIMIT_CONTROL', Message: text }))
    t.match(await client.send(message, call()), { kind: 'wait', code: 'sms.number_limited', afterMs })
    stub.script.push(answer({ Code: 'isv.BUSINESS_LIMIT_CONTROL', Message: text }))
    t.match(await client.send({ ...message, purpose: 'otp' }, call()), { kind: 'refused', code: 'sms.number_limited' })
  }
})

t.test('our own limit of a number holds in every window, for all spellings, and keeps no number', async (t) => {
  const { stub, client, store } = await setUp(t, {
    limits: [
      { count: 2, windowMs: 60_000 },
      { count: 3, windowMs: 3_600_000 },
    ],
  })
  t.equal((await client.send(message, call('a'))).kind, 'accepted')
  t.equal((await client.send({ ...message, phoneNumber: '13800138000' }, call('b'))).kind, 'accepted')
  const third = await client.send(message, call('c'))
  t.match(third, { kind: 'wait', code: 'sms.number_limited' })
  t.ok(third.kind === 'wait' && third.afterMs > 0 && third.afterMs <= 60_000)
  t.match(await client.send({ ...message, purpose: 'otp' }, call('c')), { kind: 'refused', code: 'sms.number_limited' })
  t.equal((await client.send({ ...message, phoneNumber: '13900139000' }, call('d'))).kind, 'accepted', 'another number is free')
  t.equal((await client.send(message, call('b'))).kind, 'accepted', 'a job that sends again takes its own place')
  t.equal(stub.sent.length, 4)
  t.notMatch((await store.redis.keys('*')).join(), /13800138000|13900139000/)
})

t.test('a refused message gives its place back', async (t) => {
  const { stub, client } = await setUp(t, { limits: [{ count: 1, windowMs: 60_000 }] })
  stub.script.push(answer({ Code: 'isv.SMS_SIGNATURE_ILLEGAL' }))
  t.equal((await client.send(message, call('a'))).kind, 'refused')
  t.equal((await client.send(message, call('b'))).kind, 'accepted')
})

t.test('templates outside the allow-list never leave', async (t) => {
  const { stub, client } = await setUp(t)
  t.match(await client.send({ ...message, templateCode: 'SMS_2' }, call()), { kind: 'refused', code: 'sms.template_not_allowed' })
  t.equal(stub.requests.length, 0)
})

t.test('looking up: sent, not yet, absent, unanswerable', async (t) => {
  let clock = Date.now()
  const { stub, client } = await setUp(t, { timeoutMs: 1500, now: () => clock })
  stub.script.push({ kind: 'work-then-hang' })
  t.equal((await client.send(message, call('taken'))).kind, 'unconfirmed')
  t.same(await client.reconcile(message, call('taken')), { kind: 'sent' })
  stub.script.push({ kind: 'hang' })
  t.equal((await client.send(message, call('lost'))).kind, 'unconfirmed')
  const early = await client.reconcile(message, call('lost'))
  t.ok(early.kind === 'not-yet' && early.afterMs > 0 && early.afterMs <= 30_000)
  clock += 31_000
  t.same(await client.reconcile(message, call('lost')), { kind: 'absent' })
  for (const scripted of [
    { kind: 'hang' },
    { kind: 'drop' },
    answer('<html>', 500),
    answer({ Code: 'isv.MOBILE_NUMBER_ILLEGAL' }),
  ] as const) {
    stub.script.push(scripted)
    t.match(await client.reconcile(message, call('lost')), { kind: 'unavailable', code: 'sms.outcome_unknown' })
  }
  stub.script.push(answer({ Code: 'Throttling.User' }))
  t.match(await client.reconcile(message, call('lost')), { kind: 'wait', code: 'sms.rate_limited' })
})

t.test('looking up reads every page, and both days around midnight in China', async (t) => {
  const { stub, client } = await setUp(t, { timeoutMs: 1500 })
  for (let index = 0; index < 120; index++) {
    stub.sent.push({
      phoneNumber: '8613800138000',
      outId: `other${index}`,
      day: new Date(Date.now() + 28_800_000).toISOString().slice(0, 10).replaceAll('-', ''),
      templateParam: undefined,
    })
  }
  stub.script.push({ kind: 'work-then-drop' })
  await client.send(message, call('last'))
  t.same(await client.reconcile(message, call('last')), { kind: 'sent' })
  const midnight = Date.parse('2030-01-07T15:59:00.000Z')
  const { stub: nightStub, client: night } = await setUp(t, { timeoutMs: 1500, now: () => midnight })
  nightStub.script.push({ kind: 'hang' }, answer({ Code: 'OK', TotalCount: 0 }), answer({ Code: 'OK', TotalCount: 0 }))
  await night.send(message, call('night'))
  await night.reconcile(message, call('night'))
  const days = nightStub.requests.slice(1).map(({ body }) => new URLSearchParams(body).get('SendDate'))
  t.same(days, ['20300107', '20300108'])
})

t.test("Aliyun's own SDK agrees with the stub", async (t) => {
  const { stub } = await setUp(t)
  const { accessKeyId, accessKeySecret, port } = stub
  const config = { accessKeyId, accessKeySecret, endpoint: `127.0.0.1:${port}`, protocol: 'http' }
  // The package is CommonJS: its default export arrives inside an object.
  const sdk = new sms.default.default(config as unknown as ConstructorParameters<typeof sms.default.default>[0])
  const request = {
    phoneNumbers: '8613800138000',
    signName: "O'Neill (Test)*!",
    templateCode: 'SMS_1',
    templateParam: '{"code":"1"}',
    outId: 'by-sdk',
  }
  const sent = await sdk.sendSms(new sms.SendSmsRequest(request))
  t.equal(sent.body?.code, 'OK')
  t.equal(stub.sent[0]?.outId, 'by-sdk')
  const query = { phoneNumber: '13800138000', sendDate: stub.sent[0]?.day, pageSize: 50, currentPage: 1 }
  const details = await sdk.querySendDetails(new sms.QuerySendDetailsRequest(query))
  t.equal(details.body?.smsSendDetailDTOs?.smsSendDetailDTO?.[0]?.outId, 'by-sdk')
})

// Ends the file, and with it the one Redis of all its tests.
t.end()
