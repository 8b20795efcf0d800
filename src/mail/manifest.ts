// What e-mail brings to Jobgate: its settings, its job errors and the mail server.

import type { Opening } from '../types/integration.js'
import { smtpErrors } from './job-errors.js'
import { type MailSettings, mailSettings } from './settings.js'
import { requireMailTemplates } from './templates/templates.js'

export const mail = {
  settings: mailSettings,
  errors: smtpErrors,
  integration: {
    name: 'smtp',
    variable: 'SMTP_URL',
    async open({ config, log }: Opening<{ mail: MailSettings }>) {
      const { email, smtp } = config.settings.mail
      // Read even without a mail server: submissions are checked against the templates here.
      const templates = requireMailTemplates(email)
      return smtp && (await import('./smtp.js')).openSmtp({ smtp, email, templates, log })
    },
  },
} as const
