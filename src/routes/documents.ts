// Publishes what clients need to know: the API description, its interactive page, and what every problem means.

import swaggerUi from '@fastify/swagger-ui'
import type { FastifyInstance } from 'fastify'
import { sendPage, wantsPage } from '../http/html-page.js'
import { problem } from '../http/problems/problem-json.js'
import type { JobErrorTable } from '../types/job-errors.js'
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
  readonly services: { readonly jobErrors: JobErrorTable }
}

const hidden = { schema: { hide: true } }

const documents = async (app: FastifyInstance, { services: { jobErrors } }: DocumentsOptions) => {
  await app.register(swaggerUi, {
    routePrefix: '/docs',
    staticCSP: docsSecurityPolicy,
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

  const texts = new Map<string, string>()
  /** The description does not change while the process runs. */
  const once = (name: string, render: () => string): string => {
    const text = texts.get(name) ?? render()
    texts.set(name, text)
    return text
  }

  app.get('/openapi.json', hidden, async (_request, reply) => {
    return reply
      .header('content-type', 'application/json; charset=utf-8')
      .send(once('json', () => `${JSON.stringify(app.swagger(), null, 2)}\n`))
  })

  app.get('/openapi.yaml', hidden, async (_request, reply) => {
    return reply.header('content-type', 'application/yaml').send(once('yaml', () => app.swagger({ yaml: true })))
  })

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
