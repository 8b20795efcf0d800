// Job type: sends the link under which a forgotten password is replaced.

import { Type } from '@sinclair/typebox'
import { linkProblems } from '../../mail/checks.js'
import { deliverMail } from '../../mail/deliver.js'
import { EmailAddress, EmailLocale, EmailSent, httpsOnly, RecipientName } from '../../mail/schema.js'
import { toLength } from '../../mail/templates/words.js'
import { day } from '../../runtime/durations.js'
import { closed, DurationMs, Line, Link, sensitive } from '../../types/schema-parts.js'
import { defineBuiltin } from '../define.js'

const tokenExpiresInMsDefault = 30 * 60_000

const SendPasswordResetEmailData = Type.Object(
  {
    to: EmailAddress,
    name: Type.Optional(RecipientName),
    resetUrl: Link({ ...httpsOnly, ...sensitive }),
    resetToken: Type.Optional(Line(512, { description: 'Only for templates that print it; the built-in templates do not.', ...sensitive })),
    tokenExpiresInMs: Type.Optional(
      DurationMs(60_000, 7 * day, 'How long the link is valid, from when the job is due; shown to the reader. Defaults to 30 minutes.'),
    ),
    locale: Type.Optional(EmailLocale),
  },
  closed,
)

/** Sends one reset link. A link that no longer works is not sent. */
export const sendPasswordResetEmail = defineBuiltin({
  name: 'send-password-reset-email',
  queue: 'email',
  description: 'Sends a link to choose a new password. The job expires with the link (tokenExpiresInMs) unless expiresInMs is set.',
  data: SendPasswordResetEmailData,
  result: EmailSent,
  example: {
    to: 'user@example.com',
    name: 'Ada',
    resetUrl: 'https://app.example.com/reset?token=3q2AMb1cT7m',
    tokenExpiresInMs: 1_800_000,
  },
  defaults: { attempts: 3, backoff: { type: 'fixed', delayMs: 2000 }, priority: 'high', timeoutMs: 60_000 },
  requires: ['smtp'],
  check: ({ resetUrl }, { config }) => linkProblems({ '#/data/resetUrl': resetUrl }, config.settings.mail.email.linkHosts),
  timing: ({ tokenExpiresInMs = tokenExpiresInMsDefault }, now) => ({ expiresAt: now + tokenExpiresInMs }),
  async run({ to, locale, tokenExpiresInMs = tokenExpiresInMsDefault, ...data }, ctx) {
    const { templates, defaultLocale } = ctx.integrations.smtp
    const language = locale ?? defaultLocale
    const mail = templates.render('password-reset', language, { ...data, expiresIn: toLength(tokenExpiresInMs, language) })
    return deliverMail({ ...mail, to, template: 'password-reset' }, ctx)
  },
})
