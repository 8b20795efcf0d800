// Job type: sends a message from a template of Jobgate or of the operator to one recipient or to many.

import { Type } from '@sinclair/typebox'
import { jsonSizeProblems, linkProblems, recipientProblems, textLinks } from '../../mail/checks.js'
import { deliverMail } from '../../mail/deliver.js'
import { gatherRecipients, requireRecipient, toRecipientJobs } from '../../mail/recipients.js'
import { EmailLocale, EmailSent, orFanOut, Recipients } from '../../mail/schema.js'
import { requireMailTemplates } from '../../mail/templates/templates.js'
import { fail } from '../../types/definition.js'
import { closed, Line } from '../../types/schema-parts.js'
import { defineBuiltin } from '../define.js'

const templateDataBytesMax = 32_768
const templateDataDepthMax = 5
const templateDefault = 'notification'

const SendNotificationEmailData = Type.Object(
  {
    to: Recipients,
    subject: Line(200, { description: 'Subject of the message.' }),
    template: Type.Optional(
      Type.String({
        maxLength: 64,
        pattern: '^[a-z0-9-]{1,64}$',
        description: 'A template of EMAIL_TEMPLATE_DIR; left out: the built-in `notification`.',
      }),
    ),
    templateData: Type.Record(Type.String({ pattern: '^[A-Za-z_][A-Za-z0-9_]{0,63}$' }), Type.Unknown(), {
      maxProperties: 100,
      additionalProperties: false,
      description:
        'What the template is filled with, at most 32 KiB and 5 levels. `notification` takes { title?, body, actionUrl?, actionLabel? }.',
    }),
    locale: Type.Optional(EmailLocale),
  },
  closed,
)

/** Sends one notification, or one to each of a list of recipients. */
export const sendNotificationEmail = defineBuiltin({
  name: 'send-notification-email',
  queue: 'email',
  description: 'Sends a message from a template. A list of recipients becomes one job each, so that none sees the others.',
  data: SendNotificationEmailData,
  result: orFanOut(EmailSent),
  example: {
    to: 'user@example.com',
    subject: 'Your recording is ready',
    templateData: {
      title: 'Your recording is ready',
      body: 'The recording of the weekly meeting can be watched now.',
      actionUrl: 'https://app.example.com/recordings/weekly',
      actionLabel: 'Watch it',
    },
  },
  defaults: { attempts: 2, backoff: { type: 'fixed', delayMs: 5000 }, priority: 'normal', timeoutMs: 60_000 },
  requires: ['smtp'],
  check({ to, template = templateDefault, templateData }, { config }) {
    const pointer = '#/data/templateData'
    const tooLarge = jsonSizeProblems(pointer, templateData, { bytesMax: templateDataBytesMax, depthMax: templateDataDepthMax })
    if (tooLarge.length > 0) return tooLarge
    return [
      ...recipientProblems(to),
      ...requireMailTemplates(config.settings.mail.email).notificationProblems(template, templateData),
      ...linkProblems(textLinks(pointer, templateData), config.settings.mail.email.linkHosts),
    ]
  },
  fanOut: toRecipientJobs,
  gather: gatherRecipients,
  async run(data, ctx) {
    const { subject, template = templateDefault, templateData } = data
    const { templates, defaultLocale } = ctx.integrations.smtp
    if (!templates.isForNotifications(template)) return fail('smtp.template_missing', `The worker has no template "${template}".`)
    if (templates.notificationProblems(template, templateData).length > 0) {
      return fail('invalid_data', `The data do not fit the template "${template}" of the worker.`)
    }
    const mail = templates.render(template, data.locale ?? defaultLocale, templateData, subject)
    return deliverMail({ ...mail, to: requireRecipient(data), template }, ctx)
  },
})
