// What an operator sets for e-mail.

import { defineSettings } from '../config/config.js'
import { requireUrl } from '../config/setting-checks.js'
import { choice, count, flag, list, text, textOr } from '../config/variables.js'

const variables = {
  SMTP_URL: text('smtp:// or smtps:// URL of the mail server, with user and password if required.'),
  MAIL_FROM: textOr('Jobgate <no-reply@localhost>', 'Sender of every e-mail.'),
  SMTP_REQUIRE_TLS: flag(false, 'Refuse to send without TLS.'),
  SMTP_MAX_CONNECTIONS: count(5, 1, 100, 'Maximum concurrent connections to the mail server.'),
  SMTP_RATE_PER_SECOND: count(0, 0, 100_000, 'Maximum messages per second. 0 sets no limit.'),
  SMTP_CONNECT_TIMEOUT_MS: count(10_000, 100, 600_000, 'Timeout for connecting to the mail server, in milliseconds.'),
  SMTP_SOCKET_TIMEOUT_MS: count(30_000, 100, 600_000, 'How long the mail server may stay silent, in milliseconds.'),
  EMAIL_TEMPLATE_DIR: text(
    'Folder with templates <name>.<en|zh>.<html|text|subject>.hbs that replace or extend the built-in ones; see docs/email-templates.md.',
  ),
  EMAIL_DEFAULT_LOCALE: choice('en', ['en', 'zh'], 'Default language of e-mails.'),
  EMAIL_LINK_HOSTS: list('Hosts that links in e-mails may point to. Empty allows every host.'),
  EMAIL_MESSAGE_ID_DOMAIN: text('Domain of the Message-ID. Defaults to the domain of MAIL_FROM.'),
  EMAIL_ON_AMBIGUOUS: choice('retry', ['retry', 'fail'], 'What to do if the connection breaks after the message was sent.'),
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
