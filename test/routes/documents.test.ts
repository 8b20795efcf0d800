import { createHash } from 'node:crypto'
import { Type } from '@sinclair/typebox'
import t, { type Test } from 'tap'
import openapi, { tags } from '../../src/http/documents/openapi.js'
import { Problem, problemResponse, problemResponses } from '../../src/http/problems/problem-schema.js'
import { type ProblemKind, problems } from '../../src/http/problems/problem-types.js'
import { createReadiness } from '../../src/http/readiness.js'
import documents from '../../src/routes/documents.js'
import probes from '../../src/routes/probes.js'
import { jobErrors } from '../../src/types/job-errors.js'
import { createJobTypes } from '../../src/types/registry.js'
import { smallApp } from '../helpers/small-app.js'

const browser = 'text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8'

const documentsApp = async (t: Test) => {
  const { app } = await smallApp(t)
  app.addSchema(Problem)
  app.addSchema(Type.Object({ a: Type.String() }, { $id: 'Thing' }))
  await app.register(openapi)
  await app.register(documents, { services: { jobErrors, jobTypes: createJobTypes() } })
  await app.register(probes, {
    readiness: createReadiness({ redis: { ping: async () => 'PONG' }, isStopping: () => false, isOverloaded: () => false }),
  })
  const response = { 200: Type.Ref('Thing'), 409: problemResponse('Taken.'), ...problemResponses }
  app.get('/things', { schema: { operationId: 'readThing', tags: ['jobs'], summary: 'Reads.', response } }, async () => ({ a: 'b' }))
  return app
}

t.test('PRB-5 every problem of the registry is explained, to programs and people', async (t) => {
  const app = await documentsApp(t)
  for (const [name, kind] of Object.entries(problems) as [string, ProblemKind][]) {
    const url = `/problems/${name}`
    const { type = url, title, status, remedy } = kind
    const json = await app.inject(url)
    t.equal(json.statusCode, 200, name)
    t.same(json.json(), { name, type, title, status, remedy })
    t.equal(json.headers['vary'], 'Accept')
    const html = await app.inject({ url, headers: { accept: browser } })
    t.equal(html.headers['content-type'], 'text/html; charset=utf-8', name)
    t.match(html.body, `HTTP ${status}`)
    t.match(html.body, `<code>${name}</code>`)
  }
  const list = await app.inject('/problems')
  t.equal(list.json().items.length, Object.keys(problems).length)
  t.ok(list.json().jobErrors.some(({ code }: { code: string }) => code === 'too_old'))
  const page = await app.inject({ url: '/problems', headers: { accept: browser } })
  for (const name of Object.keys(problems)) t.match(page.body, `href="/problems/${name}"`)
})

t.test('PRB-5 Accept decides; a name that does not exist is 404', async (t) => {
  const app = await documentsApp(t)
  const typeOf = async (accept?: string) =>
    (await app.inject({ url: '/problems/queue-full', headers: accept === undefined ? {} : { accept } })).headers['content-type']
  t.match(await typeOf(), /json/)
  t.match(await typeOf('*/*'), /json/, 'what curl sends')
  t.match(await typeOf('application/json, text/html'), /json/)
  t.match(await typeOf('text/html'), /html/)
  t.match(await typeOf('text/*'), /html/)
  t.match(await typeOf('image/png'), /json/)
  for (const name of ['nothing', '__proto__', 'constructor', 'toString']) {
    t.match((await app.inject(`/problems/${name}`)).json(), { status: 404, type: '/problems/not-found' })
  }
})

t.test('pages load nothing from elsewhere, under a policy without unsafe-inline', async (t) => {
  const app = await documentsApp(t)
  for (const url of ['/problems', '/problems/queue-full', '/docs']) {
    const answer = await app.inject({ url, headers: { accept: browser } })
    const policy = answer.headers['content-security-policy'] as string
    t.equal(answer.statusCode, 200)
    t.match(policy, /^default-src 'none';/)
    t.notMatch(policy, /unsafe|https?:/)
    t.notMatch(answer.body, /(?:src|href)="(?:https?:)?\/\//, url)
    t.notMatch(answer.body, /<script(?![^>]*\ssrc=)|\sstyle=|\son\w+=/, `${url} has nothing inline that the policy forbids`)
    const [, style] = /<style>([\s\S]*?)<\/style>/.exec(answer.body) ?? []
    if (style !== undefined) t.match(policy, createHash('sha256').update(style).digest('base64'))
  }
})

t.test('/docs is the interactive page with all that it loads', async (t) => {
  const app = await documentsApp(t)
  const page = await app.inject('/docs')
  const assets = [...page.body.matchAll(/(?:src|href)="([^"]+)"/g)].map(([, address]) => address as string)
  t.ok(assets.length >= 5)
  for (const url of assets) t.equal((await app.inject(url)).statusCode, 200, url)
  const script = await app.inject('/docs/static/swagger-initializer.js')
  t.match(script.body, /persistAuthorization["']?:\s*false/, 'a key is forgotten with the page')
  t.notMatch(script.body, /localStorage|preauthorize/)
  t.match(script.body, /tryItOutEnabled["']?:\s*true/)
  t.match(script.body, /validatorUrl:\s*(null|false)/)
  const missing = await app.inject('/docs/static/nothing.js')
  t.equal(missing.statusCode, 404)
  t.equal(missing.headers['content-type'], 'application/problem+json')
})

t.test('a parameter with a default is not required', async (t) => {
  const app = await documentsApp(t)
  const querystring = Type.Object({ limit: Type.Integer({ default: 50 }), name: Type.String() })
  app.get('/many-things', { schema: { operationId: 'listThings', querystring } }, async () => ({}))
  const { paths } = (await app.inject('/openapi.json')).json() as { paths: Record<string, { get: { parameters: object[] } }> }
  t.match(paths['/many-things']?.get.parameters, [
    { name: 'limit', required: false, schema: { default: 50 } },
    { name: 'name', required: true },
  ])
})

t.test('names that members may have are described, however deep', async (t) => {
  const app = await documentsApp(t)
  const Words = Type.Record(Type.String({ pattern: '^[a-z]+$' }), Type.String(), { additionalProperties: false })
  const Anything = Type.Record(Type.String(), Type.Unknown())
  app.addSchema(
    Type.Object({ list: Type.Array(Words), nested: Type.Record(Type.String({ pattern: '^n' }), Words), Anything }, { $id: 'Named' }),
  )
  app.get('/named', { schema: { operationId: 'readNamed', response: { 200: Type.Ref('Named') } } }, async () => ({}))
  const { components } = (await app.inject('/openapi.json')).json()
  const words = { type: 'object', patternProperties: { '^[a-z]+$': { type: 'string' } }, additionalProperties: false }
  t.same(components.schemas.Named.properties, {
    list: { type: 'array', items: words },
    nested: { type: 'object', patternProperties: { '^n': words } },
    Anything: { type: 'object', additionalProperties: {} },
  })
})

t.test('OAS-1 OAS-4 the description is complete and the same in both notations', async (t) => {
  const app = await documentsApp(t)
  const json = await app.inject('/openapi.json')
  t.equal(json.headers['content-type'], 'application/json; charset=utf-8')
  const document = json.json()
  t.match(document, {
    openapi: '3.1.0',
    info: {
      title: 'Jobgate',
      version: /^\d+\.\d+\.\d+/,
      description: /./,
      license: { name: 'MIT', identifier: 'MIT' },
      contact: { name: /./ },
    },
    servers: [{ url: '/' }],
    security: [{ bearer: [] }],
    components: { securitySchemes: { bearer: { type: 'http', scheme: 'bearer' } } },
  })
  t.same(document.tags, tags)
  t.same(Object.keys(document.components.schemas).sort(), ['Problem', 'Thing'], 'components are named for their $id')
  t.same(Object.keys(document.paths), ['/things'], 'pages, probes and documents are hidden')
  const { responses } = document.paths['/things'].get
  t.same(Object.keys(responses).sort(), ['200', '409', '4XX', '5XX'])
  for (const status of ['409', '4XX', '5XX'])
    t.same(responses[status].content['application/problem+json'].schema, { $ref: '#/components/schemas/Problem' })
  t.equal(document.components.schemas.Problem.additionalProperties, true)
  const yaml = await app.inject('/openapi.yaml')
  t.equal(yaml.headers['content-type'], 'application/yaml')
  t.match(yaml.body, /^openapi: 3\.1\.0/)
  t.match(yaml.body, /operationId: readThing/)
})
