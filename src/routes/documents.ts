// Publishes what clients need to know: the API description, its interactive page, and what every problem means.

import { Readable } from 'node:stream'
import swaggerUi from '@fastify/swagger-ui'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { createLiveDocument } from '../http/documents/live-document.js'
import { matchesEtag } from '../http/headers/etag.js'
import { sendPage, wantsPage } from '../http/html-page.js'
import { problem } from '../http/problems/problem-json.js'
import type { JobErrorTable } from '../types/job-errors.js'
import type { JobTypes } from '../types/registry.js'
import { allProblems, describeProblem, isProblemName, renderProblem, renderProblems } from './problem-pages.js'

/** Swagger UI needs no inline script; its styles are set through the DOM, which this policy does not concern. */
const docsSecurityPolicy = {
  'default-src': "'none'",
  'script-src': "'self'",
  'style-src': "'self'",
  'img-src': "'self' data:",
  'font-src': "'self'",
  'connect-src': "'self'",
  'base-uri': "'none'",
  'form-action': "'none'",
  'frame-ancestors': "'none'",
}

/** Swagger UI is dark only where a switch in its bar says so, and the bar is left out. */
const followColorScheme = `const dark = matchMedia('(prefers-color-scheme: dark)')
const follow = () => document.documentElement.classList.toggle('dark-mode', dark.matches)
dark.addEventListener('change', follow)
follow()
`

export interface DocumentsOptions {
  readonly services: { readonly jobErrors: JobErrorTable; readonly jobTypes: JobTypes }
}

const contentTypes = { json: 'application/json; charset=utf-8', yaml: 'application/yaml' } as const

/** Where the page looks for the description, which the plugin would render itself, at once and without own types. */
const pageDocument = /^\/docs\/(json|yaml)(?:$|\?)/

const hidden = { schema: { hide: true } }

const documents = async (app: FastifyInstance, { services: { jobErrors, jobTypes } }: DocumentsOptions) => {
  const document = createLiveDocument({ jobTypes, describe: () => app.swagger() })
  // Takes a tenth of a second, and nobody waits yet.
  app.addHook('onReady', async () => document.open())

  const sendDocument = async (notation: keyof typeof contentTypes, request: FastifyRequest, reply: FastifyReply) => {
    const { chunks, bytes, etag } = await document.render(notation)
    // A registered job type is to be seen after a reload.
    reply.header('etag', etag).header('cache-control', 'no-cache')
    if (matchesEtag(request.headers['if-none-match'], etag)) return reply.code(304).send()
    return reply.header('content-type', contentTypes[notation]).header('content-length', bytes).send(Readable.from(chunks))
  }

  await app.register(swaggerUi, {
    routePrefix: '/docs',
    staticCSP: docsSecurityPolicy,
    uiHooks: {
      onRequest: async (request, reply) => {
        const [, notation] = pageDocument.exec(request.url) ?? []
        return notation === 'json' || notation === 'yaml' ? sendDocument(notation, request, reply) : undefined
      },
    },
    theme: { title: 'Jobgate API', js: [{ filename: 'color-scheme.js', content: followColorScheme }] },
    uiConfig: {
      layout: 'BaseLayout',
      // A key is forgotten with the page: what is persisted lies in the browser's storage for any script of this origin.
      persistAuthorization: false,
      tryItOutEnabled: true,
      displayRequestDuration: true,
      deepLinking: true,
      docExpansion: 'list',
    },
  })

  app.get('/openapi.json', hidden, async (request, reply) => sendDocument('json', request, reply))
  app.get('/openapi.yaml', hidden, async (request, reply) => sendDocument('yaml', request, reply))

  app.get('/problems', hidden, async (request, reply) => {
    if (wantsPage(request, reply)) return sendPage(reply, renderProblems(jobErrors))
    return { items: allProblems(), jobErrors: Object.entries(jobErrors).map(([code, kind]) => ({ code, ...kind })) }
  })

  app.get<{ Params: { name: string } }>('/problems/:name', hidden, async (request, reply) => {
    const { name } = request.params
    if (!isProblemName(name)) throw problem('not-found', 'There is no problem with this name; see /problems for all of them.')
    const description = describeProblem(name)
    return wantsPage(request, reply) ? sendPage(reply, renderProblem(description)) : description
  })
}

export default documents
