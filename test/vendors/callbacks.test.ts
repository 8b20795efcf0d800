// Events of vendors: golden vectors, forged and stale ones, credentials taken out.

import { createCipheriv, createHash, randomBytes } from 'node:crypto'
import { AESCipher } from '@larksuiteoapi/node-sdk'
import t from 'tap'
import { createLarkCallback, signLarkCallback } from '../../src/vendors/lark/callback.js'
import { createTencentMeetingCallback, signTencentCallback } from '../../src/vendors/tencent-meeting/callback.js'
import { encryptLark, encryptTencent } from '../helpers/vendor-stubs/callbacks.js'

const now = 1_767_225_600_000
const seconds = String(now / 1000)
const encryptKey = 'jobgate-encrypt-key'
const verificationToken = 'jobgate-verification-token'

t.test('golden vectors', async (t) => {
  const body = Buffer.from('{ "encrypt" : "ZGF0YQ==" }')
  t.equal(signLarkCallback(seconds, '42', encryptKey, body), '54d40a85f11c23832b919db3cb212b88bde6cf55ff0859ef4c48b4421ca6cb87')
  t.equal(signTencentCallback('jobgate-token', seconds, '42', 'ZGF0YQ=='), 'bc0bca89edcbfc7534faf340fe463295e3492c75')
})

t.test('Lark', async (t) => {
  const callback = createLarkCallback({ encryptKey, verificationToken }, () => now)
  const event = { schema: '2.0', header: { event_id: 'ev-1', event_type: 'im.message', token: verificationToken }, event: { text: 'x' } }
  const seal = (value: unknown) => Buffer.from(`{ "encrypt" : "${encryptLark(encryptKey, JSON.stringify(value))}" }`)
  const sign = (rawBody: Buffer, { timestamp = seconds, nonce = '42', key = encryptKey } = {}) => ({
    'x-lark-signature': signLarkCallback(timestamp, nonce, key, rawBody),
    'x-lark-request-timestamp': timestamp,
    'x-lark-request-nonce': nonce,
  })

  await t.test('a genuine event, whatever its white space; its token is not kept', async (t) => {
    const rawBody = seal(event)
    const read = callback.read({ headers: sign(rawBody), rawBody })
    t.match(read, { kind: 'event', eventId: 'ev-1', eventType: 'im.message', payload: { event: { text: 'x' } } })
    t.notMatch(JSON.stringify(read), new RegExp(verificationToken))
  })

  await t.test("what we encrypt is what Lark's SDK decrypts", async (t) => {
    t.equal(new AESCipher(encryptKey).decrypt(encryptLark(encryptKey, '{"a":"中文"}')), '{"a":"中文"}')
  })

  await t.test('forged: key, body, time, token, no signature', async (t) => {
    const rawBody = seal(event)
    const forgeries: Record<string, { headers: Record<string, string>; rawBody: Buffer }> = {
      'another key': { headers: sign(rawBody, { key: 'guessed' }), rawBody },
      'another body': { headers: sign(seal({ ...event, event: {} })), rawBody },
      'a stale time': { headers: sign(rawBody, { timestamp: String(now / 1000 - 301) }), rawBody },
      'a time to come': { headers: sign(rawBody, { timestamp: String(now / 1000 + 301) }), rawBody },
      'no time at all': { headers: sign(rawBody, { timestamp: 'yesterday' }), rawBody },
      'no signature': { headers: {}, rawBody },
      'half a signature': { headers: { 'x-lark-request-timestamp': seconds }, rawBody },
    }
    for (const [name, forged] of Object.entries(forgeries)) t.same(callback.read(forged), { kind: 'forged' }, name)
    const wrongToken = seal({ ...event, header: { ...event.header, token: 'guessed' } })
    t.same(callback.read({ headers: sign(wrongToken), rawBody: wrongToken }), { kind: 'forged' }, 'another token')
    const plain = Buffer.from(JSON.stringify(event))
    t.same(callback.read({ headers: {}, rawBody: plain }), { kind: 'forged' }, 'a plain body with the right token')
  })

  await t.test('the challenge is answered with and without a signature, not with a wrong one', async (t) => {
    const rawBody = seal({ type: 'url_verification', challenge: 'ch-1', token: verificationToken })
    const challenge = { kind: 'challenge', text: 'ch-1' }
    t.same(callback.read({ headers: {}, rawBody }), challenge)
    t.same(callback.read({ headers: sign(rawBody), rawBody }), challenge)
    t.same(callback.read({ headers: sign(rawBody, { key: 'guessed' }), rawBody }), { kind: 'forged' })
    const guessed = seal({ type: 'url_verification', challenge: 'ch-1', token: 'guessed' })
    t.same(callback.read({ headers: {}, rawBody: guessed }), { kind: 'forged' })
  })

  await t.test('signed, but of no known form', async (t) => {
    for (const rawBody of [
      Buffer.from('no json'),
      Buffer.from('{"encrypt":"AAAA"}'),
      seal({ header: { token: verificationToken } }),
      seal([1]),
    ]) {
      t.match(callback.read({ headers: sign(rawBody), rawBody }).kind, /^(malformed|forged)$/)
    }
  })
})

for (const encodingAesKey of [randomBytes(32).toString('base64').slice(0, 43), undefined]) {
  t.test(`Tencent Meeting, ${encodingAesKey ? 'encrypted' : 'plain'}`, async (t) => {
    const token = 'jobgate-token'
    const callback = createTencentMeetingCallback({ token, encodingAesKey }, () => now)
    const seal = (value: unknown) => encryptTencent(encodingAesKey, typeof value === 'string' ? value : JSON.stringify(value))
    const sign = (data: string, { timestamp = seconds, nonce = '42', secret = token } = {}) => ({
      timestamp,
      nonce,
      signature: signTencentCallback(secret, timestamp, nonce, data),
    })
    const toBody = (data: string) => Buffer.from(JSON.stringify({ data }))
    const event = { event: 'meeting.started', trace_id: 'tr-1', payload: [{ meeting_info: { subject: 'Weekly' } }] }

    await t.test('a genuine event', async (t) => {
      const data = seal(event)
      t.match(callback.read({ headers: sign(data), rawBody: toBody(data) }), {
        kind: 'event',
        eventId: 'tr-1',
        eventType: 'meeting.started',
        payload: event,
      })
      const { trace_id: _, ...nameless } = event
      const other = seal(nameless)
      const wanted = createHash('sha256').update(toBody(other)).digest('hex')
      t.match(
        callback.read({ headers: sign(other), rawBody: toBody(other) }),
        { eventId: wanted },
        'without trace_id the digest of the body',
      )
    })

    await t.test('the check of the address', async (t) => {
      const checkStr = seal('hello')
      t.same(callback.check({ headers: sign(checkStr), checkStr }), { kind: 'challenge', text: 'hello' })
      t.same(callback.check({ headers: sign(checkStr, { secret: 'guessed' }), checkStr }), { kind: 'forged' })
    })

    await t.test('forged and stale', async (t) => {
      const data = seal(event)
      const rawBody = toBody(data)
      t.same(callback.read({ headers: sign(data, { secret: 'guessed' }), rawBody }), { kind: 'forged' })
      t.same(callback.read({ headers: sign(seal({ ...event, event: 'other' })), rawBody }), { kind: 'forged' })
      t.same(callback.read({ headers: sign(data, { timestamp: String(now / 1000 - 901) }), rawBody }), { kind: 'forged' })
      t.equal(
        callback.read({ headers: sign(data, { timestamp: String(now / 1000 - 400) }), rawBody }).kind,
        'event',
        'redelivered after six minutes',
      )
      t.same(callback.read({ headers: {}, rawBody }), { kind: 'forged' })
      t.same(callback.read({ headers: sign(data), rawBody: Buffer.from('[]') }), { kind: 'forged' })
    })

    await t.test('an STS token is taken out of its event', async (t) => {
      const info = { sts_token: 'secret-sts-token', expire_ts: 1_767_229_200 }
      for (const payload of [[{ token_info: info }], { token_info: info }, [{ ...info, app: 'a' }]]) {
        const data = seal({ event: 'common.sts-token', trace_id: 'tr-2', payload })
        const { credential, ...read } = callback.read({ headers: sign(data), rawBody: toBody(data) }) as {
          credential?: unknown
          kind: string
        }
        t.same(credential, { name: 'tencent-sts', token: 'secret-sts-token', expiresAt: 1_767_229_200_000 })
        t.equal(read.kind, 'event')
        t.notMatch(JSON.stringify(read), /secret-sts-token/)
      }
    })

    await t.test('genuine, but of no known form', async (t) => {
      for (const data of [
        seal('no json'),
        seal('[]'),
        seal({ trace_id: 'x' }),
        seal(JSON.stringify({ event: 'e', deep: 1 }).replace('1', `${'['.repeat(30)}${']'.repeat(30)}`)),
      ]) {
        t.same(callback.read({ headers: sign(data), rawBody: toBody(data) }), { kind: 'malformed' })
      }
      const sized = (characters: number) => seal({ ...event, padding: 'x'.repeat(characters) })
      const [large, tooLarge] = [sized(250_000), sized(263_000)]
      t.match(callback.read({ headers: sign(large), rawBody: toBody(large) }), { kind: 'event' }, 'base64 does not count against its size')
      t.same(callback.read({ headers: sign(tooLarge), rawBody: toBody(tooLarge) }), { kind: 'malformed' })
      if (encodingAesKey) {
        const wrongPadding = Buffer.from(createCipheriv('aes-256-cbc', randomBytes(32), randomBytes(16)).update('x'.repeat(32))).toString(
          'base64',
        )
        t.same(callback.read({ headers: sign(wrongPadding), rawBody: toBody(wrongPadding) }), { kind: 'malformed' })
      }
    })
  })
}
