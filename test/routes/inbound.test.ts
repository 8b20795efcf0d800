// Vendors calling in: checks answered, events stored once, forged ones refused, credentials kept apart.

import { randomBytes } from 'node:crypto'
import t from 'tap'
import { processWebhook } from '../../src/builtin/external/process-webhook.js'
import { signLarkCallback } from '../../src/vendors/lark/callback.js'
import { signTencentCallback } from '../../src/vendors/tencent-meeting/callback.js'
import { createVendorTokens, vendorTokenKey } from '../../src/vendors/tokens.js'
import { buildTestApp, freshRateWindowMs, type TestApp } from '../helpers/build-test-app.js'
import { encryptLark, encryptTencent } from '../helpers/vendor-stubs/callbacks.js'

const encryptKey = 'stub-encrypt-key'
const verificationToken = 'stub-verification-token'
const webhookToken = 'stub-webhook-token'
const encodingAesKey = randomBytes(32).toString('base64').slice(0, 43)
const encryptionKey = randomBytes(32)
const env = {
  LARK_ENCRYPT_KEY: encryptKey,
  LARK_VERIFICATION_TOKEN: verificationToken,
  TENCENT_MEETING_WEBHOOK_TOKEN: webhookToken,
  TENCENT_MEETING_ENCODING_AES_KEY: encodingAesKey,
  DATA_ENCRYPTION_KEY: encryptionKey.toString('base64'),
}
const seconds = () => String(Math.floor(Date.now() / 1000))

const larkRequest = (value: unknown, key = encryptKey) => {
  const payload = `{ "encrypt" : "${encryptLark(encryptKey, JSON.stringify(value))}" }`
  const timestamp = seconds()
  return {
    method: 'POST' as const,
    url: '/v1/inbound/lark',
    key: null,
    payload,
    headers: {
      'content-type': 'application/json; charset=utf-8',
      'x-lark-signature': signLarkCallback(timestamp, '42', key, Buffer.from(payload)),
      'x-lark-request-timestamp': timestamp,
      'x-lark-request-nonce': '42',
    },
  }
}

const tencentHeaders = (data: string, token = webhookToken) => {
  const timestamp = seconds()
  return { timestamp, nonce: '42', signature: signTencentCallback(token, timestamp, '42', data) }
}
const tencentRequest = (value: unknown, token = webhookToken) => {
  const data = encryptTencent(encodingAesKey, JSON.stringify(value))
  return {
    method: 'POST' as const,
    url: '/v1/inbound/tencent-meeting',
    key: null,
    payload: JSON.stringify({ data }),
    headers: { 'content-type': 'application/json', ...tencentHeaders(data, token) },
  }
}

const larkEvent = (id: string) => ({
  schema: '2.0',
  header: { event_id: id, event_type: 'im.message', token: verificationToken },
  event: { text: 'hello' },
})
const jobsOf = async ({ request }: TestApp) => {
  const answer = await request({ method: 'GET', url: '/v1/jobs?type=process-webhook' })
  return answer.json().items as { id: string; data: Record<string, unknown> }[]
}

t.test('with events of both vendors configured', async (t) => {
  const app = await buildTestApp(t, { env, types: [processWebhook] })
  const { request, finished } = app

  await t.test('200 for the checks of the address', async (t) => {
    const challenge = { type: 'url_verification', challenge: 'ch-1', token: verificationToken }
    const { headers: _, ...unsigned } = larkRequest(challenge)
    const lark = await request({ ...unsigned, headers: { 'content-type': 'application/json' } })
    t.equal(lark.statusCode, 200)
    t.same(lark.json(), { challenge: 'ch-1' })
    const checkStr = encryptTencent(encodingAesKey, 'hello +/=')
    for (const query of [encodeURIComponent(checkStr), checkStr.replaceAll('=', '%3D')]) {
      const url = `/v1/inbound/tencent-meeting?check_str=${query}`
      const tencent = await request({ method: 'GET', url, key: null, headers: tencentHeaders(checkStr) })
      t.equal(tencent.statusCode, 200)
      t.equal(tencent.body, 'hello +/=')
    }
  })

  await t.test('200 for events: stored once, marked as verified, without the token', async (t) => {
    const first = await request(larkRequest(larkEvent('ev-1')))
    t.equal(first.statusCode, 200)
    t.same(first.json(), {})
    await Promise.all([request(larkRequest(larkEvent('ev-1'))), request(larkRequest({ ...larkEvent('ev-1'), event: { text: 'changed' } }))])
    const tencent = await request(tencentRequest({ event: 'meeting.started', trace_id: 'tr-1', payload: [{ operate_time: 1 }] }))
    t.equal(tencent.statusCode, 200)
    t.equal(tencent.body, 'successfully received callback')
    await request(tencentRequest({ event: 'meeting.started', trace_id: 'tr-1', payload: [{ operate_time: 1 }] }))
    const jobs = await jobsOf(app)
    t.equal(jobs.length, 2)
    t.match(new Set(jobs.map(({ data }) => data['eventId'])), new Set(['ev-1', 'tr-1']))
    for (const { id, data } of jobs) {
      t.equal(data['verified'], true)
      t.match(await finished(id), { state: 'completed', result: { verified: true } })
    }
    t.notMatch(JSON.stringify(jobs), new RegExp(verificationToken))
  })

  await t.test('200 for an STS token: kept encrypted, never in a job or a log', async (t) => {
    const info = { sts_token: 'secret-sts-token', expire_ts: Number(seconds()) + 600 }
    const answer = await request(tencentRequest({ event: 'common.sts-token', trace_id: 'tr-sts', payload: [{ token_info: info }] }))
    t.equal(answer.statusCode, 200)
    const { redis, keys } = app.services
    const tokens = createVendorTokens({ redis: redis.request, keys, encryptionKeys: [encryptionKey] })
    t.equal(await tokens.read('tencent-sts'), 'secret-sts-token')
    t.notMatch(JSON.stringify(await jobsOf(app)) + app.logs.join(), /secret-sts-token/)
    t.notMatch(await redis.request.get(vendorTokenKey(keys, 'tencent-sts')), /secret-sts-token/)
  })

  await t.test('400 for what is genuine but of no known form', async (t) => {
    t.equal((await request(larkRequest({ header: { token: verificationToken } }))).statusCode, 400)
    t.equal((await request(tencentRequest({ no: 'event' }))).statusCode, 400)
    t.equal((await request({ method: 'GET', url: '/v1/inbound/tencent-meeting', key: null })).statusCode, 400)
  })

  await t.test('403 for forged ones, as problem documents, and nothing is stored', async (t) => {
    const before = (await jobsOf(app)).length
    const checkStr = encryptTencent(encodingAesKey, 'hello')
    const forged = [
      larkRequest(larkEvent('forged'), 'guessed'),
      { ...larkRequest(larkEvent('forged')), headers: { 'content-type': 'application/json' } },
      { ...larkRequest(larkEvent('forged')), payload: '{}' },
      tencentRequest({ event: 'meeting.started', trace_id: 'forged' }, 'guessed'),
      { ...tencentRequest({ event: 'meeting.started' }), payload: '{"data":"AAAA"}' },
      {
        method: 'GET' as const,
        url: `/v1/inbound/tencent-meeting?check_str=${encodeURIComponent(checkStr)}`,
        key: null,
        headers: tencentHeaders(checkStr, 'guessed'),
      },
    ]
    for (const each of forged) {
      const answer = await request(each)
      t.equal(answer.statusCode, 403)
      t.match(answer.headers['content-type'], /^application\/problem\+json/)
      t.equal(answer.json().type, '/problems/signature-refused')
    }
    t.equal((await jobsOf(app)).length, before)
  })

  await t.test('RL-5 429 for an address that keeps forging; genuine events still come through', async (t) => {
    const limits = { RATE_LIMIT_MAX: '2', RATE_LIMIT_WINDOW_MS: freshRateWindowMs() }
    const limited = await buildTestApp(t, { env: { ...env, ...limits, WORKERS_ENABLED: 'false' }, types: [processWebhook] })
    const forge = async () => (await limited.request(larkRequest(larkEvent('forged'), 'guessed'))).statusCode
    t.same([await forge(), await forge(), await forge()], [403, 403, 429])
    t.equal((await limited.request(larkRequest(larkEvent('genuine')))).statusCode, 200)
  })

  await t.test('415 for other media types', async (t) => {
    const answer = await request({ ...larkRequest(larkEvent('x')), headers: { 'content-type': 'text/plain' } })
    t.equal(answer.statusCode, 415)
  })

  await t.test('a client cannot claim that an event was verified', async (t) => {
    const data = { source: 'lark', eventId: 'mine', eventType: 'x', payload: { header: { event_type: 'x' } } }
    t.equal((await app.submit({ type: 'process-webhook', data: { ...data, verified: true } })).statusCode, 400)
    const accepted = await app.submit({ type: 'process-webhook', data })
    t.match(await finished(accepted.json().id), { result: { verified: false } })
  })

  await t.test('a client with the same key does not get in the way of an event', async (t) => {
    const data = { source: 'other', eventId: 'x', eventType: 'x', payload: {} }
    await app.submit({ type: 'process-webhook', data }, { 'idempotency-key': 'lark:ev-9' })
    await request(larkRequest(larkEvent('ev-9')))
    t.ok((await jobsOf(app)).some(({ data }) => data['eventId'] === 'ev-9'))
  })
})

t.test('404 where events are not configured', async (t) => {
  const { request } = await buildTestApp(t, { types: [processWebhook] })
  t.equal((await request(larkRequest(larkEvent('ev-1')))).statusCode, 404)
  t.equal((await request(tencentRequest({ event: 'x' }))).statusCode, 404)
})
