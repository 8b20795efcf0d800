// What an operator sets for e-mail.

import { defineSettings } from '../config/config.js'
import { requireUrl } from '../config/setting-checks.js'
import { choice, count, flag, list, text, textOr } from '../config/variables.js'

const variables = {
  SMTP_URL: text('smtp:// or smtps:// address of the mail server, with user and password if it asks for them.'),
  MAIL_FROM: textOr('Jobgate <no-reply@localhost>', 'Sender of every e-mail.'),
  SMTP_REQUIRE_TLS: flag(false, 'Refuse to send without TLS.'),
  SMTP_MAX_CONNECTIONS: count(5, 1, 100, 'Connections to the mail server at once.'),
  SMTP_RATE_PER_SECOND: count(0, 0, 100_000, 'Messages a second at most; 0 sets no limit.'),
  SMTP_CONNECT_TIMEOUT_MS: count(10_000, 100, 600_000, 'Connecting to the mail server may take this long.'),
  SMTP_SOCKET_TIMEOUT_MS: count(30_000, 100, 600_000, 'The mail server may stay silent this long.'),
  EMAIL_TEMPLATE_DIR: text(
    "Folder whose files <name>.<en|zh>.<html|text|subject>.hbs replace or join Jobgate's own templates; see docs/email-templates.md.",
  ),
  EMAIL_DEFAULT_LOCALE: choice('en', ['en', 'zh'], 'Language of an e-mail that names none.'),
  EMAIL_LINK_HOSTS: list('Hosts that links in e-mails may point to; empty allows every host.'),
  EMAIL_MESSAGE_ID_DOMAIN: text('Domain of the Message-ID; unset: that of MAIL_FROM.'),
  EMAIL_ON_AMBIGUOUS: choice('retry', ['retry', 'fail'], 'What to do when the connection broke after the message was handed over.'),
}

/** The mail server, undefined when none is configured, and what e-mails look like. */
export const mailSettings = defineSettings(variables, (env) => ({
  smtp: env.SMTP_URL
    ? {
        url: requireUrl('SMTP_URL', env.SMTP_URL, ['smtp:', 'smtps:']),
        requireTls: env.SMTP_REQUIRE_TLS,
        maxConnections: env.SMTP_MAX_CONNECTIONS,
        ratePerSecond: env.SMTP_RATE_PER_SECOND,
        connectTimeoutMs: env.SMTP_CONNECT_TIMEOUT_MS,
        socketTimeoutMs: env.SMTP_SOCKET_TIMEOUT_MS,
      }
    : undefined,
  email: {
    from: env.MAIL_FROM,
    templateDir: env.EMAIL_TEMPLATE_DIR,
    defaultLocale: env.EMAIL_DEFAULT_LOCALE,
    linkHosts: env.EMAIL_LINK_HOSTS,
    messageIdDomain: env.EMAIL_MESSAGE_ID_DOMAIN,
    onAmbiguous: env.EMAIL_ON_AMBIGUOUS,
  },
}))
export type MailSettings = ReturnType<typeof mailSettings.toSettings>
