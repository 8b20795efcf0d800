// What Jobgate talks to, on loopback: the servers that the tests use, with secrets made up for this one run.

import { createHash, randomBytes, randomInt } from 'node:crypto'
import { bucket, startObjectStore } from '../../test/helpers/object-store.ts'
import { startSmtpReceiver } from '../../test/helpers/smtp-receiver.ts'
import { recordingBytes, startSourceServer, stream } from '../../test/helpers/source-server.ts'
import { startAliyunStub } from '../../test/helpers/vendor-stubs/aliyun-sms.ts'
import { startLarkStub } from '../../test/helpers/vendor-stubs/lark.ts'
import { startTencentStub } from '../../test/helpers/vendor-stubs/tencent-meeting.ts'

const recordingSizeBytes = 20_000_000
const newSecret = () => randomBytes(18).toString('hex')

const sha256Of = (chunks) => {
  const hash = createHash('sha256')
  for (const chunk of chunks) hash.update(chunk)
  return hash.digest('hex')
}

/** `env` sets Jobgate up to use them; `secrets` may appear nowhere but at the stand-ins, each by what it is called. */
export const startStandIns = async (scope) => {
  const secrets = {
    'API key': newSecret(),
    'encryption key': randomBytes(32).toString('base64'),
    'SMTP password': newSecret(),
    'storage secret': newSecret(),
    'Lark app secret': newSecret(),
    'Tencent Meeting secret key': newSecret(),
    'webhook token': newSecret(),
    'webhook AES key': randomBytes(32).toString('base64').slice(0, 43),
    'Aliyun access key secret': newSecret(),
    'verification code': newSecret(),
    'reset token': newSecret(),
    'token in the reset link': newSecret(),
    'phone number': `139${randomInt(10_000_000, 100_000_000)}`,
    'SMS code': newSecret(),
    'signature in the source address': newSecret(),
    'signature in the recording link': newSecret(),
    'STS token': newSecret(),
  }
  const mail = await startSmtpReceiver({ login: { user: 'jobgate', pass: secrets['SMTP password'] } })
  scope.after(() => mail.close())
  const store = await startObjectStore(scope)
  const source = await startSourceServer(scope, {
    '/weekly-42.mp4': (request, response) => {
      if (!request.url?.endsWith(`?signature=${secrets['signature in the source address']}`)) return response.writeHead(403).end()
      response.writeHead(200, { 'content-type': 'video/mp4', 'content-length': recordingSizeBytes })
      return stream(response, recordingBytes(recordingSizeBytes))
    },
  })
  const lark = await startLarkStub(scope, { appSecret: secrets['Lark app secret'] })
  const tencent = await startTencentStub(scope, { secretKey: secrets['Tencent Meeting secret key'] })
  const aliyun = await startAliyunStub(scope, { accessKeySecret: secrets['Aliyun access key secret'] })

  return {
    secrets,
    mail,
    store,
    bucket,
    lark,
    tencent,
    aliyun,
    recording: { url: source.url, sizeBytes: recordingSizeBytes, sha256: sha256Of(recordingBytes(recordingSizeBytes)) },
    env: {
      ADMIN_API_KEY: secrets['API key'],
      DATA_ENCRYPTION_KEY: secrets['encryption key'],
      SMTP_URL: mail.url.replace('//', `//jobgate:${secrets['SMTP password']}@`),
      STORAGE_AWS_REGION: store.settings.region,
      STORAGE_AWS_BUCKET: bucket,
      STORAGE_AWS_ACCESS_KEY_ID: store.settings.accessKeyId,
      STORAGE_AWS_SECRET_ACCESS_KEY: secrets['storage secret'],
      STORAGE_AWS_ENDPOINT: store.settings.endpoint,
      STORAGE_AWS_FORCE_PATH_STYLE: 'true',
      OUTBOUND_ALLOW_PRIVATE_HOSTS: `127.0.0.1:${source.port}`,
      LARK_BASE_URL: lark.url,
      LARK_APP_ID: lark.appId,
      LARK_APP_SECRET: lark.appSecret,
      LARK_MEETING_APP_TOKEN: 'bascnDemo',
      LARK_MEETING_TABLE_ID: 'tblMeetings',
      TENCENT_MEETING_BASE_URL: tencent.url,
      TENCENT_MEETING_SECRET_ID: tencent.secretId,
      TENCENT_MEETING_SECRET_KEY: tencent.secretKey,
      TENCENT_MEETING_APP_ID: tencent.appId,
      TENCENT_MEETING_USER_ID: 'demo',
      TENCENT_MEETING_WEBHOOK_TOKEN: secrets['webhook token'],
      TENCENT_MEETING_ENCODING_AES_KEY: secrets['webhook AES key'],
      ALIYUN_SMS_ENDPOINT: aliyun.url,
      ALIYUN_SMS_ACCESS_KEY_ID: aliyun.accessKeyId,
      ALIYUN_SMS_ACCESS_KEY_SECRET: aliyun.accessKeySecret,
      ALIYUN_SMS_SIGN_NAME: 'Jobgate',
      ALIYUN_SMS_TEMPLATES: 'SMS_100000001',
    },
  }
}
