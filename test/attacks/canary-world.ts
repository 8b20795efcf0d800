// A gateway all of whose secrets are canaries: its own, those of its vendors, and those that come with jobs.

import { randomBytes } from 'node:crypto'
import { bucket, startObjectStore } from '../helpers/object-store.js'
import { startOtlpReceiver } from '../helpers/otlp-receiver.js'
import { startSmtpReceiver } from '../helpers/smtp-receiver.js'
import { startAliyunStub } from '../helpers/vendor-stubs/aliyun-sms.js'
import { startLarkStub } from '../helpers/vendor-stubs/lark.js'
import { startStubServer } from '../helpers/vendor-stubs/stub-server.js'
import { startTencentStub } from '../helpers/vendor-stubs/tencent-meeting.js'
import type { Attack } from './row.js'
import { openWorld } from './world.js'

/** No look-up leaves this machine. */
const resolver = new URL('rebinding-resolver.mjs', import.meta.url).href

const mint = (name: string) => `canary-${name}-${randomBytes(6).toString('hex')}`
const digits = (count: number) => Array.from(randomBytes(count), (byte) => byte % 10).join('')

/** What a job carries. */
export const mintJobCanaries = () => ({
  'the code': `9${digits(9)}`,
  'the link of a code': mint('link'),
  'the token of a reset': mint('reset'),
  'the token beside it': mint('token'),
  'the phone number': `138${digits(8)}`,
  'a value of a text message': mint('sms'),
  'the signature of a recording': mint('recording'),
})
export type JobCanaries = ReturnType<typeof mintJobCanaries>

const mintSettings = () => ({
  'the password of the mail server': mint('smtp'),
  'the secret of the object storage': mint('storage'),
  'the secret of Lark': mint('lark'),
  'the encrypt key of Lark': mint('larkkey'),
  'the token of Lark': mint('larktoken'),
  'the secret of Tencent': mint('tencent'),
  'the token of Tencent': mint('tencenttoken'),
  'the AES key of Tencent': randomBytes(33).toString('hex').slice(0, 43),
  'the secret of Aliyun': mint('aliyun'),
  'the key of the model': mint('llm'),
  'the key that encrypts data': randomBytes(32).toString('base64'),
  'the token of the metrics': mint('metrics'),
  'the header of the collector': mint('otlp'),
})

/** Vendors that know these secrets; each repeats in its refusals what it was sent. */
const startVendors = async ({ after }: Attack, secrets: ReturnType<typeof mintSettings>, jobs: JobCanaries) => {
  const scope = { after }
  const echo = `no such thing: ${Object.values(jobs).join(' ')}`
  const mail = await startSmtpReceiver({
    login: { user: 'jobgate', pass: secrets['the password of the mail server'] },
    recipient: (address) => (address.startsWith('refused') ? { code: 550, text: `5.1.1 ${echo}` } : undefined),
  })
  after(mail.close)
  const model = await startStubServer(scope, {
    work: ({ headers }) => ({ status: 500, body: { error: { message: `${headers.authorization} ${echo}` } } }),
  })
  return {
    mail,
    model,
    store: await startObjectStore(scope),
    collector: await startOtlpReceiver(scope),
    lark: await startLarkStub(scope, { appSecret: secrets['the secret of Lark'] }),
    tencent: await startTencentStub(scope, { secretKey: secrets['the secret of Tencent'] }),
    aliyun: await startAliyunStub(scope, { accessKeySecret: secrets['the secret of Aliyun'] }),
  }
}

export const openCanaryWorld = async (attack: Attack) => {
  const [settings, jobs] = [mintSettings(), mintJobCanaries()]
  const { mail, model, store, collector, lark, tencent, aliyun } = await startVendors(attack, settings, jobs)
  const env = {
    LOG_LEVEL: 'trace',
    NODE_OPTIONS: `--import=${resolver}`,
    DATA_ENCRYPTION_KEY: settings['the key that encrypts data'],
    METRICS_TOKEN: settings['the token of the metrics'],
    OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
    OTEL_EXPORTER_OTLP_HEADERS: `authorization=${settings['the header of the collector']}`,
    OTEL_EXPORTER_OTLP_PROTOCOL: 'http/json',
    SMTP_URL: `smtp://jobgate:${settings['the password of the mail server']}@127.0.0.1:${mail.port}`,
    STORAGE_AWS_REGION: 'us-east-1',
    STORAGE_AWS_BUCKET: bucket,
    STORAGE_AWS_ACCESS_KEY_ID: 'AKIATEST',
    STORAGE_AWS_SECRET_ACCESS_KEY: settings['the secret of the object storage'],
    STORAGE_AWS_ENDPOINT: store.settings.endpoint as string,
    STORAGE_AWS_FORCE_PATH_STYLE: 'true',
    LARK_BASE_URL: lark.url,
    LARK_APP_ID: lark.appId,
    LARK_APP_SECRET: settings['the secret of Lark'],
    LARK_ENCRYPT_KEY: settings['the encrypt key of Lark'],
    LARK_VERIFICATION_TOKEN: settings['the token of Lark'],
    TENCENT_MEETING_BASE_URL: tencent.url,
    TENCENT_MEETING_SECRET_ID: tencent.secretId,
    TENCENT_MEETING_SECRET_KEY: settings['the secret of Tencent'],
    TENCENT_MEETING_APP_ID: tencent.appId,
    TENCENT_MEETING_USER_ID: 'user',
    TENCENT_MEETING_WEBHOOK_TOKEN: settings['the token of Tencent'],
    TENCENT_MEETING_ENCODING_AES_KEY: settings['the AES key of Tencent'],
    ALIYUN_SMS_ENDPOINT: aliyun.url,
    ALIYUN_SMS_ACCESS_KEY_ID: aliyun.accessKeyId,
    ALIYUN_SMS_ACCESS_KEY_SECRET: settings['the secret of Aliyun'],
    ALIYUN_SMS_SIGN_NAME: 'Jobgate',
    ALIYUN_SMS_TEMPLATES: 'SMS_1',
    ANALYSIS_LLM_BASE_URL: `${model.url}/v1`,
    ANALYSIS_LLM_API_KEY: settings['the key of the model'],
    ANALYSIS_LLM_MODEL: 'model',
  }
  const world = await openWorld({ env })
  attack.after(world.close)
  return { world, settings, jobs, collector, aliyun, metricsToken: settings['the token of the metrics'] }
}

export type CanaryWorld = Awaited<ReturnType<typeof openCanaryWorld>>
