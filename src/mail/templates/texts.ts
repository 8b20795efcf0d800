// Jobgate's own e-mails: what each template is given, and its words in English and Chinese.

import { type TObject, Type } from '@sinclair/typebox'
import { closed, Line, Link, Text } from '../../types/schema-parts.js'
import { EmailAddress, type Locale } from '../schema.js'

/** Handlebars sources of one message. `subject` and `text` are plain text, `html` escapes whatever it prints. */
export interface MailSources {
  readonly subject: string
  readonly html: string
  readonly text: string
}

export interface BuiltInTemplate {
  /** What the template is given; members left out are null in it. */
  readonly data: TObject
  /** Every member of `data`, for trying templates out at start. */
  readonly sample: Readonly<Record<string, unknown>>
  /** The job type that sends it. */
  readonly jobType: string
  readonly sources: Readonly<Record<Locale, MailSources>>
}

const name = Type.Optional(Line(100))
const when = Line(200)
const htmlHello = {
  en: '<p style="margin:0 0 16px;">Hello{{#if name}} {{name}}{{/if}},</p>',
  zh: '<p style="margin:0 0 16px;">{{#if name}}{{name}}，{{/if}}您好：</p>',
}
const textHello = { en: 'Hello{{#if name}} {{name}}{{/if}},', zh: '{{#if name}}{{name}}，{{/if}}您好：' }
const paragraph = (words: string) => `<p style="margin:0 0 16px;">${words}</p>`
const muted = (words: string) => `<p class="muted" style="margin:16px 0 0;font-size:14px;color:#6b7686;">${words}</p>`
const page = (...parts: string[]) => `{{#> layout}}\n${parts.join('\n')}\n{{/layout}}\n`
const lines = (...parts: string[]) => `${parts.join('\n')}\n\n--\n{{footer}}\n`

const facts = (...rows: string[]) =>
  ['<table role="presentation" cellpadding="0" cellspacing="0" style="margin:0 0 16px;">', ...rows, '</table>'].join('\n')

/** By the name that a job's result tells, and that a file in EMAIL_TEMPLATE_DIR replaces. */
export const builtInTemplates = {
  verification: {
    data: Type.Object({ name, verificationCode: Line(64), verificationUrl: Type.Optional(Link()) }, closed),
    sample: { name: 'Ada', verificationCode: '123456', verificationUrl: 'https://example.com/verify' },
    jobType: 'send-verification-email',
    sources: {
      en: {
        subject: 'Your verification code',
        html: page(
          '{{> title text="Confirm your e-mail address"}}',
          htmlHello.en,
          paragraph('Use this code to confirm your e-mail address:'),
          '{{> code value=verificationCode}}',
          '{{#if verificationUrl}}',
          paragraph('Or open this link:'),
          '{{> button url=verificationUrl label="Confirm address"}}',
          '{{/if}}',
          muted('If you did not request this code, ignore this message. Do not share the code with anyone.'),
        ),
        text: lines(
          textHello.en,
          '',
          'Use this code to confirm your e-mail address:',
          '',
          '    {{verificationCode}}',
          '{{#if verificationUrl}}',
          '',
          'Or open this link:',
          '{{verificationUrl}}',
          '{{/if}}',
          '',
          'If you did not request this code, ignore this message.',
          'Do not share the code with anyone.',
        ),
      },
      zh: {
        subject: '您的验证码',
        html: page(
          '{{> title text="验证您的邮箱地址"}}',
          htmlHello.zh,
          paragraph('请使用以下验证码确认该邮箱属于您：'),
          '{{> code value=verificationCode}}',
          '{{#if verificationUrl}}',
          paragraph('或打开以下链接：'),
          '{{> button url=verificationUrl label="确认邮箱"}}',
          '{{/if}}',
          muted('如果这不是您本人的操作，请忽略此邮件。请勿将验证码告诉任何人。'),
        ),
        text: lines(
          textHello.zh,
          '',
          '请使用以下验证码确认该邮箱属于您：',
          '',
          '    {{verificationCode}}',
          '{{#if verificationUrl}}',
          '',
          '或打开以下链接：',
          '{{verificationUrl}}',
          '{{/if}}',
          '',
          '如果这不是您本人的操作，请忽略此邮件。请勿将验证码告诉任何人。',
        ),
      },
    },
  },

  'password-reset': {
    data: Type.Object({ name, resetUrl: Link(), resetToken: Type.Optional(Line(512)), expiresIn: Line(100) }, closed),
    sample: { name: 'Ada', resetUrl: 'https://example.com/reset', resetToken: 'token', expiresIn: '30 minutes' },
    jobType: 'send-password-reset-email',
    sources: {
      en: {
        subject: 'Reset your password',
        html: page(
          '{{> title text="Reset your password"}}',
          htmlHello.en,
          paragraph('We received a request to reset your password. Choose a new one here:'),
          '{{> button url=resetUrl label="Choose a new password"}}',
          paragraph('The link works once and expires in {{expiresIn}}.'),
          muted('If you did not request this, ignore this message. Your password will not change.'),
        ),
        text: lines(
          textHello.en,
          '',
          'We received a request to reset your password. Choose a new one here:',
          '{{resetUrl}}',
          '',
          'The link works once and expires in {{expiresIn}}.',
          '',
          'If you did not request this, ignore this message. Your password will not change.',
        ),
      },
      zh: {
        subject: '重置您的密码',
        html: page(
          '{{> title text="重置您的密码"}}',
          htmlHello.zh,
          paragraph('我们收到了重置密码的请求。请点击下方按钮设置新密码：'),
          '{{> button url=resetUrl label="设置新密码"}}',
          paragraph('链接仅可使用一次，有效期 {{expiresIn}}。'),
          muted('如果这不是您本人的操作，请忽略此邮件，您的密码不会改变。'),
        ),
        text: lines(
          textHello.zh,
          '',
          '我们收到了重置密码的请求。请打开以下链接设置新密码：',
          '{{resetUrl}}',
          '',
          '链接仅可使用一次，有效期 {{expiresIn}}。',
          '',
          '如果这不是您本人的操作，请忽略此邮件，您的密码不会改变。',
        ),
      },
    },
  },

  notification: {
    data: Type.Object(
      { title: Type.Optional(Line(200)), body: Text(20_000), actionUrl: Type.Optional(Link()), actionLabel: Type.Optional(Line(100)) },
      closed,
    ),
    sample: { title: 'News', body: 'First line\nSecond line\n\nNext paragraph', actionUrl: 'https://example.com/', actionLabel: 'Open' },
    jobType: 'send-notification-email',
    sources: {
      en: notificationSources('Open'),
      zh: notificationSources('打开'),
    },
  },

  'meeting-invitation': {
    data: Type.Object(
      {
        meetingTitle: Line(200),
        when,
        duration: Line(100),
        organizerName: Line(100),
        organizerEmail: Type.Optional(EmailAddress),
        meetingUrl: Type.Optional(Link()),
        agenda: Type.Optional(Text(4000)),
      },
      closed,
    ),
    sample: {
      meetingTitle: 'Planning',
      when: 'Monday 09:00',
      duration: '1 hour',
      organizerName: 'Ada',
      organizerEmail: 'ada@example.com',
      meetingUrl: 'https://example.com/meet',
      agenda: 'First line\nSecond line',
    },
    jobType: 'send-meeting-invitation',
    sources: {
      en: invitationSources({
        subject: 'Invitation: {{meetingTitle}}',
        intro: '{{organizerName}} invites you to a meeting.',
        when: 'When',
        duration: 'Length',
        organizer: 'Organizer',
        agenda: 'Agenda',
        join: 'Join the meeting',
        brackets: [' (', ')'],
      }),
      zh: invitationSources({
        subject: '会议邀请：{{meetingTitle}}',
        intro: '{{organizerName}} 邀请您参加会议。',
        when: '时间',
        duration: '时长',
        organizer: '组织者',
        agenda: '议程',
        join: '加入会议',
        brackets: ['（', '）'],
      }),
    },
  },

  'meeting-reminder': {
    data: Type.Object({ meetingTitle: Line(200), when, meetingUrl: Type.Optional(Link()) }, closed),
    sample: { meetingTitle: 'Planning', when: 'Monday 09:00', meetingUrl: 'https://example.com/meet' },
    jobType: 'send-meeting-reminder',
    sources: {
      en: reminderSources({
        subject: 'Reminder: {{meetingTitle}}',
        intro: 'Your meeting is starting soon.',
        when: 'When',
        join: 'Join the meeting',
      }),
      zh: reminderSources({ subject: '会议提醒：{{meetingTitle}}', intro: '您的会议即将开始。', when: '时间', join: '加入会议' }),
    },
  },
} as const satisfies Readonly<Record<string, BuiltInTemplate>>

export type BuiltInName = keyof typeof builtInTemplates

function notificationSources(open: string): MailSources {
  return {
    subject: '{{subject}}',
    html: page(
      '{{#if title}}{{> title text=title}}{{/if}}',
      '{{> prose value=body}}',
      '{{#if actionUrl}}',
      '{{#if actionLabel}}',
      '{{> button url=actionUrl label=actionLabel}}',
      '{{else}}',
      `{{> button url=actionUrl label="${open}"}}`,
      '{{/if}}',
      '{{/if}}',
    ),
    text: lines(
      '{{#if title}}',
      '{{title}}',
      '',
      '{{/if}}',
      '{{body}}',
      '{{#if actionUrl}}',
      '',
      `{{#if actionLabel}}{{actionLabel}}{{else}}${open}{{/if}}:`,
      '{{actionUrl}}',
      '{{/if}}',
    ),
  }
}

interface InvitationWords {
  readonly subject: string
  readonly intro: string
  readonly when: string
  readonly duration: string
  readonly organizer: string
  readonly agenda: string
  readonly join: string
  readonly brackets: readonly [open: string, close: string]
}

function invitationSources(words: InvitationWords): MailSources {
  const organizer = `{{organizerName}}{{#if organizerEmail}}${words.brackets[0]}{{organizerEmail}}${words.brackets[1]}{{/if}}`
  return {
    subject: words.subject,
    html: page(
      '{{> title text=meetingTitle}}',
      paragraph(words.intro),
      facts(
        `{{#> fact name="${words.when}"}}{{when}}{{/fact}}`,
        `{{#> fact name="${words.duration}"}}{{duration}}{{/fact}}`,
        `{{#> fact name="${words.organizer}"}}${organizer}{{/fact}}`,
      ),
      '{{#if meetingUrl}}',
      `{{> button url=meetingUrl label="${words.join}"}}`,
      '{{/if}}',
      '{{#if agenda}}',
      `<p class="muted" style="margin:16px 0 4px;font-size:14px;color:#6b7686;">${words.agenda}</p>`,
      '{{> prose value=agenda}}',
      '{{/if}}',
    ),
    text: lines(
      words.intro,
      '',
      '{{meetingTitle}}',
      `${words.when}: {{when}}`,
      `${words.duration}: {{duration}}`,
      `${words.organizer}: ${organizer}`,
      '{{#if meetingUrl}}',
      `${words.join}: {{meetingUrl}}`,
      '{{/if}}',
      '{{#if agenda}}',
      '',
      `${words.agenda}:`,
      '{{agenda}}',
      '{{/if}}',
    ),
  }
}

function reminderSources(words: {
  readonly subject: string
  readonly intro: string
  readonly when: string
  readonly join: string
}): MailSources {
  return {
    subject: words.subject,
    html: page(
      '{{> title text=meetingTitle}}',
      paragraph(words.intro),
      facts(`{{#> fact name="${words.when}"}}{{when}}{{/fact}}`),
      '{{#if meetingUrl}}',
      `{{> button url=meetingUrl label="${words.join}"}}`,
      '{{/if}}',
    ),
    text: lines(
      words.intro,
      '',
      '{{meetingTitle}}',
      `${words.when}: {{when}}`,
      '{{#if meetingUrl}}',
      `${words.join}: {{meetingUrl}}`,
      '{{/if}}',
    ),
  }
}
