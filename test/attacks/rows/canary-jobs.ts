// Jobs that carry secrets, well-formed and not, and requests that bring one where none belongs.

import type { JobCanaries } from '../canary-world.js'
import type { Wanted } from '../client.js'

const once = { attempts: 1 }

/** Each is sent to a vendor; some are refused there, with an answer that repeats the secrets. */
export const canaryJobs = (secrets: JobCanaries) => {
  const code = { verificationCode: secrets['the code'], verificationUrl: `https://app.example.com/v?t=${secrets['the link of a code']}` }
  const reset = { resetUrl: `https://app.example.com/r?t=${secrets['the token of a reset']}`, resetToken: secrets['the token beside it'] }
  const sms = { phoneNumber: secrets['the phone number'], templateParams: { code: secrets['a value of a text message'] } }
  return [
    { type: 'send-verification-email', data: { to: 'reader@example.com', ...code }, options: once },
    { type: 'send-verification-email', data: { to: 'refused@example.com', ...code }, options: once },
    { type: 'send-password-reset-email', data: { to: 'reader@example.com', ...reset }, options: once },
    { type: 'send-password-reset-email', data: { to: 'refused@example.com', ...reset }, options: once },
    { type: 'send-sms', data: { templateCode: 'SMS_1', purpose: 'otp', ...sms }, options: once },
    {
      type: 'upload-recording',
      data: {
        fileUrl: `https://absent.rebind.example/r.mp4?signature=${secrets['the signature of a recording']}`,
        fileName: 'r.mp4',
        meetingId: 'canary',
        storageProvider: 'aws',
      },
      options: once,
    },
    {
      type: 'sync-lark-bitable',
      data: { action: 'create', appToken: 'bascnCanary', tableId: 'tblCanary', fields: { Title: 'x' } },
      options: once,
    },
    {
      type: 'sync-tencent-meeting',
      data: {
        action: 'create',
        meetingId: 'canary',
        meetingData: { subject: 'x', startTime: '2099-01-07T09:00:00.000Z', endTime: '2099-01-07T10:00:00.000Z' },
      },
      options: once,
    },
    {
      type: 'analyze-meeting-content',
      data: { meetingId: 'canary', transcript: { segments: [{ speakerId: 'u', startMs: 0, endMs: 1, text: 'Hello there.' }] } },
      options: once,
    },
  ]
}

/** Secrets where none belongs: in members of other types, in broken JSON, in addresses, in headers. */
export const canaryMistakes = (secrets: Readonly<Record<string, string>>, key: string): Wanted[] => {
  const json = { 'content-type': 'application/json' }
  const wrongKey = `${key.slice(0, -1)}${key.endsWith('A') ? 'B' : 'A'}`
  return Object.values(secrets).flatMap((secret): Wanted[] => [
    { method: 'POST', path: '/v1/jobs', key, body: { type: 'send-verification-email', data: { to: secret, verificationCode: [secret] } } },
    { method: 'POST', path: '/v1/jobs', key, body: { type: 'send-password-reset-email', data: { to: 'a@example.com', resetUrl: secret } } },
    { method: 'POST', path: '/v1/jobs', key, body: { type: 'send-sms', data: { phoneNumber: `x${secret}`, templateCode: secret } } },
    { method: 'POST', path: '/v1/jobs', key, body: `{"type":"${secret}`, headers: json },
    { method: 'POST', path: '/v1/jobs', key, body: { type: secret, data: {} } },
    {
      method: 'POST',
      path: '/v1/jobs/batch',
      key,
      body: `${secret}\n{"type":"${secret}"}\n`,
      headers: { 'content-type': 'application/x-ndjson' },
    },
    { path: `/v1/jobs?api_key=${encodeURIComponent(secret)}`, key },
    { path: `/v1/jobs?cursor=${encodeURIComponent(secret)}`, key },
    { path: '/v1/jobs', key: secret },
    { path: '/v1/jobs', key: wrongKey },
    { path: '/v1/jobs', headers: { authorization: `Basic ${secret}`, 'x-api-key': secret, cookie: `jobgate_board=${secret}` } },
    { path: '/metrics', key: `x${secret}` },
    { method: 'POST', path: '/v1/inbound/lark', body: { encrypt: secret }, headers: { 'x-lark-signature': secret } },
  ])
}
