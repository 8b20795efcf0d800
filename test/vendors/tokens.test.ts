// Vendors from configuration to finished job: half-set settings, whole trips through gateway and worker, secrets on the way.

import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { loadBuiltinConfig } from '../../src/builtin/config.js'
import { sendSms } from '../../src/builtin/external/send-sms.js'
import { syncLarkBitable } from '../../src/builtin/external/sync-lark-bitable.js'
import { syncTencentMeeting } from '../../src/builtin/external/sync-tencent-meeting.js'
import { openIntegrations } from '../../src/builtin/integrations.js'
import { syncMeetingData } from '../../src/builtin/meeting/sync-meeting-data.js'
import { buildTestApp } from '../helpers/build-test-app.js'
import { startAliyunStub } from '../helpers/vendor-stubs/aliyun-sms.js'
import { startLarkStub } from '../helpers/vendor-stubs/lark.js'
import { startTencentStub } from '../helpers/vendor-stubs/tencent-meeting.js'

const types = [sendSms, syncLarkBitable, syncMeetingData, syncTencentMeeting]
const dirOf = async (t: { after(handler: () => unknown): void }) => {
  const dir = await mkdtemp(join(tmpdir(), 'jg-'))
  t.after(() => rm(dir, { recursive: true, force: true }))
  return dir
}

t.test('uploads beside a single place for all external calls are warned of', async (t) => {
  const dir = await dirOf(t)
  const bucket = {
    STORAGE_AWS_REGION: 'r',
    STORAGE_AWS_BUCKET: 'b',
    STORAGE_AWS_ACCESS_KEY_ID: 'a',
    STORAGE_AWS_SECRET_ACCESS_KEY: 's',
  }
  const warningsOf = async (env: Record<string, string>) => {
    const warnings: string[] = []
    const log = { warn: (text: string) => void warnings.push(text), error: () => {} }
    await (await openIntegrations({ config: loadBuiltinConfig({ ...bucket, ...env }, dir), log: log as never })).close()
    return warnings
  }
  t.match(await warningsOf({}), [/^QUEUE_CONCURRENCY_EXTERNAL_API is 1/])
  t.same(await warningsOf({ QUEUE_CONCURRENCY_EXTERNAL_API: '2' }), [])
})

t.test('half-set settings stop the start with one line that says what is missing', async (t) => {
  const dir = await dirOf(t)
  const cases: [Record<string, string>, RegExp][] = [
    [{ LARK_APP_ID: 'a' }, /^Configuration: LARK_ is incomplete; set LARK_APP_SECRET too$/],
    [{ LARK_ENCRYPT_KEY: 'a' }, /incomplete; set LARK_VERIFICATION_TOKEN too$/],
    [{ LARK_MEETING_TABLE_ID: 'a' }, /incomplete; set LARK_MEETING_APP_TOKEN too$/],
    [{ LARK_BASE_URL: 'ftp://x' }, /LARK_BASE_URL must start with/],
    [{ TENCENT_MEETING_SECRET_ID: 'a', TENCENT_MEETING_SECRET_KEY: 'b' }, /incomplete; set TENCENT_MEETING_APP_ID too$/],
    [{ TENCENT_MEETING_ENCODING_AES_KEY: 'x'.repeat(43) }, /incomplete; set TENCENT_MEETING_WEBHOOK_TOKEN too$/],
    [{ TENCENT_MEETING_WEBHOOK_TOKEN: 'a', TENCENT_MEETING_ENCODING_AES_KEY: 'short-secret' }, /ENCODING_AES_KEY must be 43 characters/],
    [{ ALIYUN_SMS_ACCESS_KEY_ID: 'a', ALIYUN_SMS_ACCESS_KEY_SECRET: 'b' }, /incomplete; set ALIYUN_SMS_TEMPLATES too$/],
    [{ ALIYUN_SMS_PER_NUMBER_LIMITS: '1/min' }, /ALIYUN_SMS_PER_NUMBER_LIMITS must be a list of count\/seconds/],
  ]
  for (const [env, message] of cases) {
    t.throws(() => loadBuiltinConfig(env, dir), { message })
    t.throws(() => loadBuiltinConfig(env, dir), { message: /^[^\n]+$/ })
  }
  const none = loadBuiltinConfig({}, dir).settings
  t.same(
    [none.lark, none.tencentMeeting, none.aliyunSms],
    [{ api: undefined, callback: undefined }, { api: undefined, callback: undefined }, undefined],
  )
})

t.test('secrets may come from files', async (t) => {
  const dir = await dirOf(t)
  await writeFile(join(dir, 'secret'), 'from-a-file\n')
  t.equal(
    loadBuiltinConfig({ LARK_APP_ID: 'a', LARK_APP_SECRET_FILE: join(dir, 'secret') }, dir).settings.lark.api?.appSecret,
    'from-a-file',
  )
})

t.test('whole trips through gateway and worker', async (t) => {
  const [lark, tencent, aliyun] = await Promise.all([startLarkStub(t), startTencentStub(t), startAliyunStub(t)])
  const env = {
    LARK_BASE_URL: lark.url,
    LARK_APP_ID: lark.appId,
    LARK_APP_SECRET: lark.appSecret,
    LARK_MEETING_APP_TOKEN: 'bascnStub',
    LARK_MEETING_TABLE_ID: 'tblStub',
    TENCENT_MEETING_BASE_URL: tencent.url,
    TENCENT_MEETING_SECRET_ID: tencent.secretId,
    TENCENT_MEETING_SECRET_KEY: tencent.secretKey,
    TENCENT_MEETING_APP_ID: tencent.appId,
    TENCENT_MEETING_USER_ID: 'tester',
    ALIYUN_SMS_ENDPOINT: aliyun.url,
    ALIYUN_SMS_ACCESS_KEY_ID: aliyun.accessKeyId,
    ALIYUN_SMS_ACCESS_KEY_SECRET: aliyun.accessKeySecret,
    ALIYUN_SMS_SIGN_NAME: 'Jobgate',
    ALIYUN_SMS_TEMPLATES: 'SMS_100000001',
    DATA_ENCRYPTION_KEY: Buffer.alloc(32, 7).toString('base64'),
  }
  const app = await buildTestApp(t, { env, types })
  for (const type of types) {
    const accepted = await app.submit({ type: type.name, data: type.example })
    t.equal(accepted.statusCode, 202)
    t.match(await app.finished(accepted.json().id), { state: 'completed', error: null }, type.name)
  }
  t.equal(lark.stub.tokensIssued, 1)
  t.equal(tencent.meetings.size, 1)

  // A busy table: both jobs are done, one after the other, without a conflict at the vendor and without an attempt lost.
  const release = lark.holdWrites()
  const jobs = await Promise.all(
    ['a', 'b'].map((title) => app.submit({ type: 'sync-lark-bitable', data: { ...syncLarkBitable.example, fields: { title } } })),
  )
  release()
  for (const job of jobs) t.match(await app.finished(job.json().id), { state: 'completed', attempts: { made: 1 } })
  t.equal(lark.stub.conflicts, 0)

  // The phone number and the code of the example: sent, and seen nowhere else.
  t.equal(aliyun.sent[0]?.phoneNumber, '8613800138000')
  const { request } = app.services.redis
  const names = await request.keys('*')
  const hashes = await Promise.all(
    names.map(async (name) => ((await request.type(name)) === 'hash' ? JSON.stringify(await request.hgetall(name)) : '')),
  )
  t.notMatch([...names, ...hashes, ...app.logs].join('\n'), /13800138000|"123456"|stub-access-secret|stub-secret|stub-key/)
})

t.test('a worker without settings fails at once and names the variable', async (t) => {
  const app = await buildTestApp(t, { types })
  for (const [type, variable] of [
    [sendSms, 'ALIYUN_SMS_ACCESS_KEY_ID'],
    [syncLarkBitable, 'LARK_APP_ID'],
    [syncMeetingData, 'LARK_APP_ID'],
    [syncTencentMeeting, 'TENCENT_MEETING_SECRET_ID'],
  ] as const) {
    const accepted = await app.submit({ type: type.name, data: type.example })
    const message = `Set ${variable} on the workers.`
    t.match(await app.finished(accepted.json().id), { state: 'failed', error: { code: 'not_configured', message } })
  }
})
