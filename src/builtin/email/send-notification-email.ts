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
        description: 'A template in EMAIL_TEMPLATE_DIR. Defaults to the built-in `notification`.',
      }),
    ),
    templateData: Type.Record(Type.String({ pattern: '^[A-Za-z_][A-Za-z0-9_]{0,63}$' }), Type.Unknown(), {
      maxProperties: 100,
      additionalProperties: false,
      description: 'Data for the template, at most 32 KiB and 5 levels. `notification` takes { title?, body, actionUrl?, actionLabel? }.',
    }),
    locale: Type.Optional(EmailLocale),
  },
  closed,
)

/** Sends one notification, or one to each of a list of recipients. */
export const sendNotificationEmail = defineBuiltin({
  name: 'send-notification-email',
  queue: 'email',
  description: 'Sends a message from a template. Each recipient in a list gets a separate job, so recipients do not see each other.',
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
      return fail('invalid_data', `The data does not match the worker's template "${template}".`)
    }
    const mail = templates.render(template, data.locale ?? defaultLocale, templateData, subject)
    return deliverMail({ ...mail, to: requireRecipient(data), template }, ctx)
  },
})
