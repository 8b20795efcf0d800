// Operators see which e-mail templates this gateway has read, what each wants, and what it looks like.

import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import { requireScope } from '../../http/authenticate.js'
import { problem } from '../../http/problem-json.js'
import { problemResponses } from '../../http/problem-schema.js'
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
  name: Type.String({ description: 'As in the names of its files, and in `template` of send-notification-email.' }),
  jobType: Type.String({ description: 'The job type that sends it.' }),
  source: StringEnum(['built-in', 'folder', 'mixed'], {
    description: "Jobgate's own, one of EMAIL_TEMPLATE_DIR, or Jobgate's own with parts of that folder.",
  }),
  languages: Type.Array(Language, { description: 'Languages it has words of its own in; the first serves for those it lacks.' }),
  fields: Type.Array(
    Type.Object(
      {
        name: Type.String(),
        type: StringEnum(['string', 'any'], { description: '`any`: whatever JSON can say.' }),
        lengthMax: Nullable(Type.Integer(), { description: 'In characters; null: no limit of its own.' }),
        required: Type.Boolean({ description: 'Whether it has to be given; the others are null in the template when they are not.' }),
      },
      closed,
    ),
    { description: 'What it is filled with.' },
  ),
  parts: Type.Array(
    Type.Object(
      {
        locale: Language,
        part: StringEnum(['subject', 'text', 'html']),
        file: Nullable(Type.String(), { description: "Name of the file in EMAIL_TEMPLATE_DIR; null: Jobgate's own." }),
        sha256: Type.String({ description: 'Of the source, in hex: what `sha256sum` says of the file.' }),
      },
      closed,
    ),
    { description: 'What it is made of.' },
  ),
  version: Type.String({ description: 'Changes with any part; the same wherever the same parts were read.' }),
}

export const EmailTemplate = Type.Object(description, { $id: 'EmailTemplate', ...closed, description: 'One e-mail template.' })
const EmailTemplateRef = Type.Unsafe<typeof EmailTemplate.static>(Type.Ref('EmailTemplate'))

const EmailTemplatePreview = Type.Object(
  {
    ...description,
    sample: Type.Record(Type.String(), Type.Unknown(), { description: 'Made-up data that the previews are filled with.' }),
    previews: Type.Array(Type.Object({ locale: Language, subject: Type.String(), text: Type.String(), html: Type.String() }, closed), {
      description: 'One for each language; none where fitting data cannot be guessed from a template of the folder.',
    }),
  },
  { ...closed, description: 'One e-mail template, and what it looks like.' },
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
        'What this gateway read when it started: a change in EMAIL_TEMPLATE_DIR shows after a restart. Workers read the folder by themselves.',
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
      summary: 'Read and preview an e-mail template',
      description: 'One template, filled with made-up data in each of its languages.',
      tags: operatorTags,
      params: Type.Object({ name: Type.String({ minLength: 1, maxLength: 64, description: 'Name of the template.' }) }, closed),
      response: { 200: jsonResponse(EmailTemplatePreview, 'The template.'), ...problemResponses },
    },
    handler: async ({ params: { name } }) => {
      const template = templates.preview(name)
      if (!template) throw problem('not-found', 'There is no e-mail template of this name.')
      return template
    },
  })
}

export default adminEmailTemplates
