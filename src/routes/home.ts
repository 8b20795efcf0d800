// GET /: what this is, whether it is ready, and where everything else stands.

import type { FastifyInstance } from 'fastify'
import { renderPage, sendPage, toHtml, wantsPage } from '../http/html-page.js'
import type { Readiness, ReadinessState } from '../http/readiness.js'
import { readVersion } from '../telemetry/version.js'

export interface HomeOptions {
  readonly readiness: Readiness
}

const what = 'Accepts background jobs over HTTP, stores them in Redis and runs them in workers.'

/** Relation, address, and words for people. */
const links = [
  ['docs', '/docs', 'API documentation', 'Try every route'],
  ['board', '/admin/board', 'Dashboard', 'Queues and jobs, for operators'],
  ['jobTypes', '/v1/job-types', 'Job types', 'As JSON; requires an API key'],
  ['openapi', '/openapi.json', 'OpenAPI in JSON', 'For client generators'],
  ['openapiYaml', '/openapi.yaml', 'OpenAPI in YAML', 'The same document'],
  ['metrics', '/metrics', 'Metrics', 'For Prometheus'],
  ['live', '/livez', 'Liveness', 'Whether the process is alive'],
  ['ready', '/readyz', 'Readiness', 'Whether it can accept requests'],
] as const

const home = async (app: FastifyInstance, { readiness }: HomeOptions) => {
  const version = readVersion()

  app.get('/', { schema: { hide: true } }, async (request, reply) => {
    const { failure } = await readiness()
    reply.header('cache-control', 'no-store')
    if (wantsPage(request, reply)) return sendPage(reply, renderHome(version, failure))
    return {
      name: 'Jobgate',
      description: what,
      version,
      status: failure ? 'unavailable' : 'ok',
      links: Object.fromEntries(links.map(([relation, address]) => [relation, address])),
    }
  })
}

const renderHome = (version: string, failure: ReadinessState['failure']): string => {
  const state = failure ? `<p class="state bad">Not ready: ${toHtml(failure.detail)}</p>` : '<p class="state">Ready for requests</p>'
  const items = links.map(
    ([, address, name, purpose]) => `<li><a href="${address}">${toHtml(name)}<span>${toHtml(purpose)}</span></a></li>`,
  )
  return renderPage(
    'Jobgate',
    `<p class="status">Version ${toHtml(version)}</p>
<h1>Jobgate</h1>
<p>${toHtml(what)}</p>
${state}
<h2>Where to go</h2>
<ul class="links">
${items.join('\n')}
</ul>`,
  )
}

export default home
