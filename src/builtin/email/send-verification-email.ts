// Job type: sends the code, and on demand the link, that proves an address to be its owner's.

import { Type } from '@sinclair/typebox'
import { linkProblems } from '../../mail/checks.js'
import { deliverMail } from '../../mail/deliver.js'
import { EmailAddress, EmailLocale, EmailSent, httpsOnly, RecipientName } from '../../mail/schema.js'
import { closed, Link, sensitive } from '../../types/schema-parts.js'
import { defineBuiltin } from '../define.js'

const SendVerificationEmailData = Type.Object(
  {
    to: EmailAddress,
    name: Type.Optional(RecipientName),
    verificationCode: Type.String({
      minLength: 4,
      maxLength: 64,
      pattern: '^[A-Za-z0-9-]{4,64}$',
      description: 'The code, printed unchanged.',
      ...sensitive,
    }),
    verificationUrl: Type.Optional(Link({ ...httpsOnly, ...sensitive })),
    locale: Type.Optional(EmailLocale),
  },
  closed,
)

const expiresInMs = 10 * 60_000

/** Sends one verification code. A code that waited longer than 10 minutes is not sent. */
export const sendVerificationEmail = defineBuiltin({
  name: 'send-verification-email',
  queue: 'email',
  description: 'Sends a verification code, and a link if you provide one. The job expires after 10 minutes unless expiresInMs is set.',
  data: SendVerificationEmailData,
  result: EmailSent,
  example: { to: 'user@example.com', name: 'Ada', verificationCode: '123456', locale: 'en' },
  defaults: { attempts: 3, backoff: { type: 'fixed', delayMs: 2000 }, priority: 'high', timeoutMs: 60_000 },
  requires: ['smtp'],
  check: ({ verificationUrl }, { config }) =>
    linkProblems({ '#/data/verificationUrl': verificationUrl }, config.settings.mail.email.linkHosts),
  timing: (_data, now) => ({ expiresAt: now + expiresInMs }),
  async run({ to, locale, ...data }, ctx) {
    const { templates, defaultLocale } = ctx.integrations.smtp
    const mail = templates.render('verification', locale ?? defaultLocale, data)
    return deliverMail({ ...mail, to, template: 'verification' }, ctx)
  },
})
