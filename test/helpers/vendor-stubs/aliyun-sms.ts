// Stands in for Aliyun SMS: checks ACS3 signatures, keeps what was sent by OutId, and answers questions about it.

import { createHash, createHmac } from 'node:crypto'
import type { TestScope } from '../start-redis.js'
import { type StubReply, type StubRequest, startStubServer } from './stub-server.js'

const skewMs = 15 * 60_000
const sha256 = (text: string) => createHash('sha256').update(text).digest('hex')
const encode = (text: string) =>
  encodeURIComponent(text).replace(/[!'()*]/g, (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`)

export interface SentSms {
  readonly phoneNumber: string
  readonly outId: string
  readonly day: string
  readonly templateParam: string | undefined
}

/** A number as the records know it: mainland numbers without their country code. */
const toRecorded = (phoneNumber: string) => phoneNumber.replace(/^\+/, '').replace(/^86(?=1\d{10}$)/, '')

export const startAliyunStub = async (t: TestScope, { accessKeyId = 'stub-access-id', accessKeySecret = 'stub-access-secret' } = {}) => {
  const sent: SentSms[] = []
  const nonces = new Set<string>()

  const refuse = ({ method, path, query, headers, body }: StubRequest): StubReply | null => {
    const no = (code: string): StubReply => ({ status: 400, body: { Code: code, Message: 'refused by the stub', RequestId: 'r' } })
    const match = /^ACS3-HMAC-SHA256 Credential=([^,]+),SignedHeaders=([^,]+),Signature=([0-9a-f]{64})$/.exec(headers.authorization ?? '')
    if (!match) return no('IncompleteSignature')
    const [, credential, signedHeaders = '', signature] = match
    if (credential !== accessKeyId) return no('InvalidAccessKeyId.NotFound')
    const names = signedHeaders.split(';')
    const required = ['host', 'x-acs-action', 'x-acs-content-sha256', 'x-acs-date', 'x-acs-signature-nonce', 'x-acs-version']
    if (required.some((name) => !names.includes(name))) return no('IncompleteSignature')
    const hash = sha256(body)
    if (headers['x-acs-content-sha256'] !== hash) return no('SignatureDoesNotMatch')
    const canonicalQuery = [...query]
      .sort(([one], [other]) => (one < other ? -1 : 1))
      .map(([name, value]) => `${encode(name)}=${encode(value)}`)
    const canonicalHeaders = names.map((name) => `${name}:${String(headers[name]).trim()}\n`).join('')
    const canonical = [method, path, canonicalQuery.join('&'), canonicalHeaders, signedHeaders, hash].join('\n')
    const wanted = createHmac('sha256', accessKeySecret)
      .update(`ACS3-HMAC-SHA256\n${sha256(canonical)}`)
      .digest('hex')
    if (signature !== wanted) return no('SignatureDoesNotMatch')
    if (Math.abs(Date.now() - Date.parse(String(headers['x-acs-date']))) > skewMs) return no('InvalidTimeStamp.Expired')
    const nonce = String(headers['x-acs-signature-nonce'])
    if (nonces.has(nonce)) return no('SignatureNonceUsed')
    nonces.add(nonce)
    return null
  }

  const work = (request: StubRequest): StubReply => {
    const refused = refuse(request)
    if (refused) return refused
    // The official SDK puts parameters into the query, ours into a form body.
    const parameters = new URLSearchParams([...request.query, ...new URLSearchParams(request.body)])
    const get = (name: string) => parameters.get(name) ?? ''
    if (request.headers['x-acs-action'] === 'SendSms') {
      const day = new Date(Date.now() + 8 * 3_600_000).toISOString().slice(0, 10).replaceAll('-', '')
      sent.push({ phoneNumber: get('PhoneNumbers'), outId: get('OutId'), day, templateParam: parameters.get('TemplateParam') ?? undefined })
      return { body: { Code: 'OK', Message: 'OK', BizId: `biz-${sent.length}`, RequestId: `req-${sent.length}` } }
    }
    // Only eleven digits find a mainland number, as the SDK's reference says.
    const found = sent.filter(({ phoneNumber, day }) => toRecorded(phoneNumber) === get('PhoneNumber') && day === get('SendDate'))
    const size = Number(get('PageSize'))
    const page = found.slice((Number(get('CurrentPage')) - 1) * size, Number(get('CurrentPage')) * size)
    const records = page.map(({ phoneNumber, outId }) => ({ PhoneNum: phoneNumber, OutId: outId, SendStatus: 1, Content: 'text' }))
    return {
      body: { Code: 'OK', Message: 'OK', RequestId: 'q', TotalCount: found.length, SmsSendDetailDTOs: { SmsSendDetailDTO: records } },
    }
  }

  const server = await startStubServer(t, { work })
  return { ...server, accessKeyId, accessKeySecret, sent }
}
