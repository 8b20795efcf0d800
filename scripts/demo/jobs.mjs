// One job of every type for the demo: what is submitted, its result in brief, and what proves that the work was done.

import assert from 'node:assert/strict'
import { createHash, randomUUID } from 'node:crypto'
import { GetObjectCommand } from '@aws-sdk/client-s3'
import { builtinTypes } from '../../dist/builtin/builtin.js'
import { signTencentCallback } from '../../dist/vendors/tencent-meeting/callback.js'
import { encryptTencent } from '../../test/helpers/vendor-stubs/callbacks.ts'

const minuteMs = 60_000

/**
 * `submit`, where a job does not come by POST /v1/jobs, gives its id.
 * `prove` throws when the proof is missing, else says it in a few words.
 */
export const createJobs = ({ standIns, gateway }) => {
  const { secrets, mail, store, bucket, lark, tencent, aliyun, recording } = standIns
  const exampleOf = (type) => builtinTypes.find(({ name }) => name === type).example
  const later = (ms) => new Date(Date.now() + ms).toISOString()
  const sentTo = (address) => {
    const found = mail.received.filter(({ to }) => to.includes(address))
    assert.equal(found.length, 1, `${found.length} mails to ${address}`)
    return found[0].mail
  }
  const mailResult = ({ responseCode, template }) => `${template}, server said ${responseCode}`

  const meetingData = {
    ...exampleOf('process-meeting-record').meetingData,
    recordingUrl: `https://files.example.com/weekly-42.mp4?signature=${secrets['signature in the recording link']}`,
  }
  const transcript = exampleOf('analyze-meeting-content').transcript
  const uploadKey = 'recordings/weekly-42/weekly-42.mp4'
  const event = {
    event: 'common.sts-token',
    trace_id: randomUUID(),
    payload: [{ token_info: { sts_token: secrets['STS token'], expire_ts: String(Math.floor(Date.now() / 1000) + 3600) } }],
  }

  /** Posts the event as Tencent Meeting does. */
  const callIn = (token) => {
    const data = encryptTencent(secrets['webhook AES key'], JSON.stringify(event))
    const [timestamp, nonce] = [String(Math.floor(Date.now() / 1000)), '4711']
    const headers = { 'content-type': 'application/json', timestamp, nonce, signature: signTencentCallback(token, timestamp, nonce, data) }
    return gateway.request('/v1/inbound/tencent-meeting', { method: 'POST', headers, body: JSON.stringify({ data }) })
  }

  return [
    {
      type: 'process-meeting-record',
      data: { meetingId: 'weekly-42', meetingData },
      brief: ({ participants, peakParticipants, durationMs }) =>
        `${participants.length} people, ${peakParticipants} at once, ${durationMs / minuteMs} min`,
      prove({ result }) {
        assert.deepEqual(
          result.participants.map(({ attendedMs }) => attendedMs / minuteMs),
          [60, 30],
        )
        return 'attendance is 60 and 30 min, as the stays add up to'
      },
    },
    {
      type: 'analyze-meeting-content',
      data: exampleOf('analyze-meeting-content'),
      brief: ({ engine, keywords, actionItems }) => `${engine}: ${keywords.length} keywords, ${actionItems.length} action items`,
      prove({ result }) {
        const said = transcript.segments.map(({ text }) => text)
        for (const { text } of [...result.summary, ...result.actionItems]) assert.ok(said.includes(text), 'a sentence that nobody said')
        return `every sentence of the summary was said; action item: "${result.actionItems[0].text}"`
      },
    },
    {
      type: 'sync-meeting-data',
      data: { syncTarget: 'lark-bitable', meetingId: 'weekly-42', meetingData },
      brief: ({ status, externalId, syncedFields }) => `${status} ${externalId}, ${syncedFields.length} fields`,
      prove({ result }) {
        const record = lark.records('bascnDemo', 'tblMeetings').get(result.externalId)
        assert.equal(record?.meetingId, 'weekly-42')
        assert.equal(record?.recordingUrl.link, meetingData.recordingUrl)
        return `record at Lark: meetingId ${record.meetingId}, title "${record.title}"`
      },
    },
    {
      type: 'send-verification-email',
      data: { to: 'verify@example.com', name: 'Ada', verificationCode: secrets['verification code'], locale: 'zh' },
      brief: mailResult,
      prove() {
        const { subject, text } = sentTo('verify@example.com')
        assert.ok(text.includes(secrets['verification code']), 'the code is not in the mail')
        return `mail "${subject}" with the code, login accepted`
      },
    },
    {
      type: 'send-password-reset-email',
      data: {
        to: 'reset@example.com',
        resetUrl: `https://app.example.com/reset?token=${secrets['token in the reset link']}`,
        resetToken: secrets['reset token'],
        tokenExpiresInMs: 30 * minuteMs,
      },
      brief: mailResult,
      prove() {
        const { subject, text } = sentTo('reset@example.com')
        assert.ok(text.includes(secrets['token in the reset link']), 'the link is not in the mail')
        return `mail "${subject}" with the link`
      },
    },
    {
      type: 'send-notification-email',
      data: { ...exampleOf('send-notification-email'), to: 'notify@example.com' },
      brief: mailResult,
      prove: () => `mail "${sentTo('notify@example.com').subject}"`,
    },
    {
      type: 'send-meeting-invitation',
      data: { ...exampleOf('send-meeting-invitation'), to: ['one@example.com', 'two@example.org'] },
      brief: ({ total, sent }) => `${sent} of ${total} sent`,
      prove() {
        for (const address of ['one@example.com', 'two@example.org']) {
          const invite = sentTo(address).attachments.find(({ contentType }) => contentType === 'text/calendar')
          assert.match(String(invite?.content), /METHOD:REQUEST/)
        }
        return 'one mail to each, with a calendar entry'
      },
    },
    {
      type: 'send-meeting-reminder',
      data: {
        ...exampleOf('send-meeting-reminder'),
        to: 'remind@example.com',
        meetingTime: later(10 * minuteMs),
        remindBeforeMs: 15 * minuteMs,
      },
      brief: mailResult,
      prove: () => `mail "${sentTo('remind@example.com').subject}"`,
    },
    {
      type: 'upload-recording',
      data: {
        fileUrl: `${recording.url}/weekly-42.mp4?signature=${secrets['signature in the source address']}`,
        fileName: 'weekly-42.mp4',
        meetingId: 'weekly-42',
        storageProvider: 'aws',
        sizeBytes: recording.sizeBytes,
        sha256: recording.sha256,
      },
      brief: ({ key, sizeBytes }) => `${key}, ${sizeBytes} bytes`,
      async prove() {
        const { Body } = await store.client.send(new GetObjectCommand({ Bucket: bucket, Key: uploadKey }))
        assert.equal(
          createHash('sha256')
            .update(await Body.transformToByteArray())
            .digest('hex'),
          recording.sha256,
        )
        assert.equal((await store.left()).openUploads, 0)
        return `object in ${store.count('part')} parts, sha256 ${recording.sha256.slice(0, 12)}… as at the source`
      },
    },
    {
      type: 'sync-tencent-meeting',
      data: exampleOf('sync-tencent-meeting'),
      brief: ({ status, tencentMeetingId }) => `${status} ${tencentMeetingId}`,
      prove({ result }) {
        const meeting = tencent.meetings.get(result.tencentMeetingId)
        assert.ok(meeting, 'no such meeting')
        return `signature accepted, meeting "${meeting.subject}" is there`
      },
    },
    {
      type: 'sync-lark-bitable',
      data: { action: 'create', appToken: 'bascnDemo', tableId: 'tblTasks', fields: { Title: 'Fix the load test' } },
      brief: ({ status, recordId }) => `${status} ${recordId}`,
      prove({ result }) {
        const record = lark.records('bascnDemo', 'tblTasks').get(result.recordId)
        assert.equal(record?.Title, 'Fix the load test')
        return `record at Lark: "${record.Title}"`
      },
    },
    {
      type: 'send-sms',
      data: {
        phoneNumber: `+86${secrets['phone number']}`,
        templateCode: 'SMS_100000001',
        templateParams: { code: secrets['SMS code'] },
        purpose: 'otp',
      },
      brief: ({ bizId }) => `receipt ${bizId}`,
      prove({ id }) {
        const [sms, ...others] = aliyun.sent
        assert.equal(others.length, 0)
        assert.deepEqual([sms?.phoneNumber, sms?.outId], [`86${secrets['phone number']}`, id])
        assert.equal(JSON.parse(sms.templateParam).code, secrets['SMS code'])
        return 'signature accepted, one message with the code to the number'
      },
    },
    {
      type: 'process-webhook',
      async submit() {
        const forged = await callIn('guessed')
        assert.equal(forged.status, 403, 'a forged event was accepted')
        const genuine = await callIn(secrets['webhook token'])
        assert.equal(genuine.status, 200, genuine.text)
        const [id] = await gateway.jobsOf('process-webhook')
        return id
      },
      brief: ({ eventType, verified }) => `${eventType}, ${verified ? 'verified' : 'unverified'}`,
      prove({ result }) {
        assert.equal(result.verified, true)
        return 'encrypted event of Tencent Meeting, signature accepted; a forged one got 403'
      },
    },
  ]
}
