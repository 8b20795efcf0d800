// Holds every vendor to its own folder: elsewhere it is known to the job types that call it and to the one list.

import t from 'tap'
import { readSource, type SourceFile } from '../helpers/source-files.js'

interface Vendor {
  readonly folder: string
  /** What only somebody who knows the vendor writes: its names, variables, error codes, hosts. */
  readonly names: RegExp
  /** Job types that call it or take in what it sends, below `builtin/`. */
  readonly jobTypes: readonly string[]
}

/** Where all vendors come together. */
const list = 'builtin/manifests.ts'

const vendors: Readonly<Record<string, Vendor>> = {
  'Aliyun SMS': {
    folder: 'vendors/aliyun-sms',
    names: /ALIYUN_SMS|aliyun.?sms|dysmsapi|'sms\.[a-z_]+'|through Aliyun/i,
    jobTypes: ['external/send-sms.ts'],
  },
  Lark: {
    folder: 'vendors/lark',
    names: /lark|feishu|bitable/i,
    jobTypes: ['builtin.ts', 'external/process-webhook.ts', 'external/sync-lark-bitable.ts', 'meeting/sync-meeting-data.ts'],
  },
  'Tencent Meeting': {
    folder: 'vendors/tencent-meeting',
    // Its namesake at object storage is another product.
    names: /tencent.?meeting|tencentUser|tencentErrors|tencent-ai|'tencent\.[a-z_]+'|meeting\.qq\.com/i,
    jobTypes: [
      'builtin.ts',
      'external/process-webhook.ts',
      'external/recording-source.ts',
      'external/sync-tencent-meeting.ts',
      'external/upload-recording.ts',
      'meeting/analysis-schema.ts',
      'meeting/analyze-meeting-content.ts',
      'meeting/process-meeting-record.ts',
      'meeting/sync-meeting-data.ts',
    ],
  },
  'object storage': {
    folder: 'vendors/object-storage',
    names: /STORAGE_(AWS|ALIYUN|TENCENT|\$)|UPLOAD_[A-Z]|'upload\.[a-z_]+'|object-?storage|amazonaws|myqcloud|s3\.oss|@aws-sdk/i,
    jobTypes: ['external/recording-source.ts', 'external/upload-recording.ts'],
  },
  'the language model': {
    folder: 'vendors/llm',
    names: /ANALYSIS_LLM|\bllm|'llm\.[a-z_]+'/i,
    jobTypes: ['meeting/analysis-schema.ts', 'meeting/analyze-meeting-content.ts'],
  },
  'the mail server': {
    folder: 'mail',
    names: /\bSMTP_[A-Z]|nodemailer|\bopenSmtp|smtpErrors|requires: \['smtp'\]|mail\/manifest/,
    jobTypes: [
      'email/send-meeting-invitation.ts',
      'email/send-meeting-reminder.ts',
      'email/send-notification-email.ts',
      'email/send-password-reset-email.ts',
      'email/send-verification-email.ts',
    ],
  },
}

/** Lines of a file that know the vendor. */
const linesOf = ({ path, text }: SourceFile, { names }: Vendor): string[] =>
  text.split('\n').flatMap((line, index) => (names.test(line) ? [`src/${path}:${index + 1} ${line.trim()}`] : []))

const leaksOf = (files: readonly SourceFile[], vendor: Vendor): string[] => {
  const places = new Set([list, ...vendor.jobTypes.map((path) => `builtin/${path}`)])
  return files
    .filter(({ path }) => !path.startsWith(`${vendor.folder}/`) && !places.has(path))
    .flatMap((file) => [
      ...linesOf(file, vendor),
      ...file.imports
        .filter(({ target }) => vendor.folder !== 'mail' && target?.startsWith(`${vendor.folder}/`))
        .map(({ line, specifier }) => `src/${file.path}:${line} imports ${specifier}`),
    ])
}

const files = readSource()

for (const [name, vendor] of Object.entries(vendors)) {
  t.test(`${name} is known in its own folder, its job types and the list`, async (t) => {
    t.same(leaksOf(files, vendor), [])
    const knowing = new Set(files.filter((file) => linesOf(file, vendor).length > 0).map(({ path }) => path))
    t.ok(
      [...knowing].some((path) => path.startsWith(`${vendor.folder}/`)),
      'it is looked for by names that it has',
    )
    t.same(
      [list, ...vendor.jobTypes.map((path) => `builtin/${path}`)].filter((path) => !knowing.has(path)),
      [],
      'no place is allowed for nothing',
    )
  })
}

t.test('nothing but vendors and built-in job types names a vendor', async (t) => {
  const vendor = { names: /lark|feishu|bitable|tencent|aliyun|dysms|amazonaws|openai/i, folder: '', jobTypes: [] }
  const others = files.filter(({ path }) => !path.startsWith('vendors/') && !path.startsWith('builtin/'))
  t.same(
    others.flatMap((file) => linesOf(file, vendor)),
    [],
  )
})

t.test('every vendor is held to its folder', async (t) => {
  const folders = new Set(files.flatMap(({ path }) => /^vendors\/[^/]+(?=\/)/.exec(path)?.[0] ?? []))
  const held = Object.values(vendors).map(({ folder }) => folder)
  t.same(
    [...folders].filter((folder) => !held.includes(folder)),
    [],
  )
})
