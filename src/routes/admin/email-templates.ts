// Operators see which e-mail templates this gateway has read, what each wants, and what it looks like.

import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import { requireScope } from '../../http/authenticate.js'
import { problem } from '../../http/problems/problem-json.js'
import { problemResponses } from '../../http/problems/problem-schema.js'
import { jsonResponse } from '../../http/response-schemas.js'
import { locales } from '../../mail/schema.js'
import type { MailTemplates } from '../../mail/templates/templates.js'
import { operatorTags } from '../../operations/queue-schema.js'
import { closed, Nullable, StringEnum } from '../../types/schema-parts.js'

export interface AdminEmailTemplatesOptions {
  readonly templates: Pick<MailTemplates, 'list' | 'preview'>
}

const Language = StringEnum(locales, { description: 'Language.' })

const description = {
  name: Type.String({ description: 'Name, as used in file names and in `template` of send-notification-email.' }),
  jobType: Type.String({ description: 'The job type that sends it.' }),
  source: StringEnum(['built-in', 'folder', 'mixed'], {
    description: 'Built in, from EMAIL_TEMPLATE_DIR, or built in with parts from that folder.',
  }),
  languages: Type.Array(Language, { description: 'Languages it is written in. The first one is used for all others.' }),
  fields: Type.Array(
    Type.Object(
      {
        name: Type.String(),
        type: StringEnum(['string', 'any'], { description: '`any` is any JSON value.' }),
        lengthMax: Nullable(Type.Integer(), { description: 'In characters; null if the field has no limit of its own.' }),
        required: Type.Boolean({ description: 'Whether it is required. Optional fields that are missing are null in the template.' }),
      },
      closed,
    ),
    { description: 'Fields of the template.' },
  ),
  parts: Type.Array(
    Type.Object(
      {
        locale: Language,
        part: StringEnum(['subject', 'text', 'html']),
        file: Nullable(Type.String(), { description: 'Name of the file in EMAIL_TEMPLATE_DIR; null if built in.' }),
        sha256: Type.String({ description: 'SHA-256 of the source in hex, as printed by `sha256sum`.' }),
      },
      closed,
    ),
    { description: 'Parts of the template.' },
  ),
  version: Type.String({ description: 'Changes with any part. Equal on all processes that read the same parts.' }),
}

export const EmailTemplate = Type.Object(description, { $id: 'EmailTemplate', ...closed, description: 'An e-mail template.' })
const EmailTemplateRef = Type.Unsafe<typeof EmailTemplate.static>(Type.Ref('EmailTemplate'))

const EmailTemplatePreview = Type.Object(
  {
    ...description,
    sample: Type.Record(Type.String(), Type.Unknown(), { description: 'Sample data used in the previews.' }),
    previews: Type.Array(Type.Object({ locale: Language, subject: Type.String(), text: Type.String(), html: Type.String() }, closed), {
      description: 'One preview per language. Empty if no sample data can be derived from a template in the folder.',
    }),
  },
  { ...closed, description: 'An e-mail template with previews.' },
)

const adminEmailTemplates: FastifyPluginAsyncTypebox<AdminEmailTemplatesOptions> = async (app, { templates }) => {
  const onRequest = requireScope('admin')

  app.route({
    method: 'GET',
    url: '/admin/email-templates',
    onRequest,
    schema: {
      operationId: 'listEmailTemplates',
      summary: 'List e-mail templates',
      description:
        'The templates this gateway read at start. Changes in EMAIL_TEMPLATE_DIR appear after a restart. Workers read the folder separately.',
      tags: operatorTags,
      response: {
        200: jsonResponse(Type.Object({ items: Type.Array(EmailTemplateRef), next: Nullable(Type.String()) }, closed), 'All templates.'),
        ...problemResponses,
      },
    },
    handler: async () => ({ items: templates.list(), next: null }),
  })

  app.route({
    method: 'GET',
    url: '/admin/email-templates/:name',
    onRequest,
    schema: {
      operationId: 'previewEmailTemplate',
      summary: 'Preview an e-mail template',
      description: 'The template, filled with sample data in each of its languages.',
      tags: operatorTags,
      params: Type.Object({ name: Type.String({ minLength: 1, maxLength: 64, description: 'Name of the template.' }) }, closed),
      response: { 200: jsonResponse(EmailTemplatePreview, 'The template.'), ...problemResponses },
    },
    handler: async ({ params: { name } }) => {
      const template = templates.preview(name)
      if (!template) throw problem('not-found', 'There is no e-mail template with this name.')
      return template
    },
  })
}

export default adminEmailTemplates
