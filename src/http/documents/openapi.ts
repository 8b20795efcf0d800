// Describes the API as OpenAPI 3.1, from the same schemas that validate requests.

import swagger from '@fastify/swagger'
import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import { readVersion } from '../../telemetry/version.js'
import { correctDocument, type DocumentedExamples, type Examples } from './document-corrections.js'

/** Tags of operations, in the order in which readers meet them. */
export const tags = [
  { name: 'jobs', description: 'Submit jobs, one at a time or in batches, follow them, and cancel them.' },
  { name: 'catalog', description: 'Available job types, with the schemas of their data and results.' },
  { name: 'schedules', description: 'Recurring jobs.' },
  { name: 'workers', description: 'Run jobs in programs of your own: lease them, send heartbeats, and settle.' },
  { name: 'inbound', description: 'URLs that vendors call, authenticated by their signature.' },
  { name: 'operators', description: 'Manage queues, jobs and API keys. These routes require the `admin` scope.' },
]

const description = `Jobgate accepts background jobs over HTTP, stores them in Redis and runs them in workers.

- A **202** means that the job is stored. It is attempted at least once, unless it is cancelled or expires.
- Send an **Idempotency-Key** with every submission: the same key and payload never create a second job within 24 hours.
- Every error is a problem document (RFC 9457); its \`type\` links to an explanation.`

declare module 'fastify' {
  interface FastifyContextConfig {
    /** What the body should be, where the route itself checks less. */
    documentedBody?: object
    documentedExamples?: Examples
  }
}

const openapi = async (app: FastifyInstance) => {
  const documented: DocumentedExamples[] = []
  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'Jobgate',
        version: readVersion(),
        description,
        license: { name: 'MIT', identifier: 'MIT' } as { name: string },
        contact: { name: 'The Jobgate authors' },
      },
      servers: [{ url: '/' }],
      tags,
      security: [{ bearer: [] }],
      components: {
        securitySchemes: {
          bearer: { type: 'http', scheme: 'bearer', description: 'An API key: `Authorization: Bearer <key>`.' },
        },
      },
    },
    transform: ({ schema, url, route }) => {
      const body = route.config?.documentedBody
      const examples = route.config?.documentedExamples
      if (examples) documented.push({ path: url.replace(/:(\w+)/g, '{$1}'), method: String(route.method).toLowerCase(), examples })
      return { schema: body ? { ...schema, body } : schema, url }
    },
    transformObject: (described) => {
      const document = 'openapiObject' in described ? described.openapiObject : described.swaggerObject
      correctDocument(document, app.getSchemas(), documented)
      return document
    },
    refResolver: {
      // Component names are part of the contract: they equal the `$id`.
      buildLocalReference: (schema, _baseUri, _fragment, index) => (typeof schema['$id'] === 'string' ? schema['$id'] : `Schema${index}`),
    },
  })
}

export default fp(openapi, { name: 'openapi' })
