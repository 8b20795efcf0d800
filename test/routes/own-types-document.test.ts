// The API description of a running gateway: job types that are registered over HTTP, in both notations, and gone again.

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { parse } from 'yaml'
import { builtinTypes } from '../../src/builtin/builtin.js'
import { toJobType } from '../../src/types/contracts/own-type.js'
import { createAnswerCheck, type OpenApiDocument } from '../helpers/answer-check.js'
import { buildTestApp, type TestApp } from '../helpers/build-test-app.js'
import { eventually } from '../helpers/eventually.js'
import { root } from '../helpers/source-files.js'

const closedObject = (properties: object, required: readonly string[] = []) => ({
  type: 'object',
  properties,
  required,
  additionalProperties: false,
})
const source = { type: 'string', maxLength: 200 }
const definition = (data: object = closedObject({ source }, ['source']), example: unknown = { source: 'cat.png' }) => ({
  description: 'Makes a smaller copy of an image.',
  data,
  example,
  runs: { by: 'pull' as const },
})

/** References at schema positions, and at places that look like them. */
const resize = definition(
  {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    $defs: {
      'Size[int]': closedObject({ width: { type: 'integer', minimum: 1 }, of: { $ref: '#/$defs/Unit' } }, ['width']),
      Unit: { enum: ['px', '%'] },
      Crop: closedObject({ kind: { const: 'crop' }, size: { $ref: '#/$defs/Size%5Bint%5D' } }, ['kind', 'size']),
      Fit: closedObject({ kind: { const: 'fit' } }, ['kind']),
    },
    ...closedObject(
      {
        source,
        how: {
          oneOf: [{ $ref: '#/$defs/Crop' }, { $ref: '#/$defs/Fit' }],
          discriminator: { propertyName: 'kind', mapping: { crop: '#/$defs/Crop' } },
        },
        $ref: { type: 'string', enum: ['#/$defs/Crop'], default: '#/$defs/Crop' },
        [`long ${'k'.repeat(1100)}`]: { type: 'string', maxLength: 5 },
        'say: "hi" # \u2028\u0085\u{1f431}\ufeff - \\': { type: ['string', 'null'], maxLength: 5 },
      },
      ['source', 'how'],
    ),
  },
  { source: 'cat.png', how: { kind: 'crop', size: { width: 640, of: 'px' } }, $ref: '#/$defs/Crop' },
)

interface Documented extends OpenApiDocument {
  readonly components: { readonly schemas: Readonly<Record<string, Readonly<Record<string, unknown>>>> }
}

const read = async ({ app }: TestApp, url = '/openapi.json', headers: Record<string, string> = {}) => {
  const answer = await app.inject({ url, headers })
  return { answer, etag: String(answer.headers['etag']), status: answer.statusCode }
}
const readDocument = async (test: TestApp): Promise<Documented> => (await read(test)).answer.json()
const put = async (t: Test, { request }: TestApp, type: string, payload: object = definition()) => {
  const answer = await request({ method: 'PUT', url: `/v1/job-types/${type}`, payload })
  t.ok([200, 201].includes(answer.statusCode), type)
}
const openApp = (t: Test, beside?: TestApp) =>
  buildTestApp(t, { types: builtinTypes, env: { WORKERS_ENABLED: 'false' }, ...(beside ? { beside } : {}) })

const suffixes = ['Data', 'Submission', 'BatchItem', 'FollowUp', 'Schedule']
const unions = { JobSubmission: 'Submission', JobBatchItem: 'BatchItem', JobFollowUp: 'FollowUp', JobSchedule: 'Schedule' }

/** Every `$ref` of a document that leads nowhere. */
const danglingRefs = (document: unknown): string[] => {
  const found: string[] = []
  const resolve = (ref: string): unknown =>
    ref
      .slice(2)
      .split('/')
      .reduce<unknown>((node, token) => (node as Record<string, unknown> | undefined)?.[token.replaceAll('~1', '/')], document)
  const visit = (node: unknown): void => {
    if (typeof node !== 'object' || node === null) return
    const { $ref } = node as { $ref?: unknown }
    if (typeof $ref === 'string' && $ref.startsWith('#/components/') && resolve($ref) === undefined) found.push($ref)
    for (const each of Object.values(node)) visit(each)
  }
  visit(document)
  return found
}

t.test('own types come and go', async (t) => {
  const test = await openApp(t)
  const other = await openApp(t, test)
  const before = await read(test)
  t.equal(before.answer.body, `${JSON.stringify(test.app.swagger(), null, 2)}\n`, 'without own types nothing is added')
  t.same(parse((await read(test, '/openapi.yaml')).answer.body), before.answer.json(), 'the same in YAML')
  t.equal((await read(test, '/openapi.json', { 'if-none-match': before.etag })).status, 304)

  await put(t, test, 'resize-image', resize)
  const after = await read(test, '/openapi.json', { 'if-none-match': before.etag })
  t.equal(after.status, 200)
  t.not(after.etag, before.etag)
  t.equal((await read(test, '/openapi.json', { 'if-none-match': after.etag })).status, 304)
  const yaml = await read(test, '/openapi.yaml')
  t.not(yaml.etag, after.etag)
  t.same(parse(yaml.answer.body), after.answer.json(), 'the same in YAML')
  t.equal(Number(after.answer.headers['content-length']), Buffer.byteLength(after.answer.body))
  t.equal((await read(test, '/docs/json')).answer.body, after.answer.body, 'Swagger UI shows the same')
  t.equal((await read(test, '/docs/yaml')).answer.body, yaml.answer.body)
  t.match((await read(test, '/docs/json', { 'if-none-match': after.etag })).status, 304)
  const headers = await test.app.inject({ method: 'HEAD', url: '/openapi.json' })
  t.match([headers.statusCode, headers.body, headers.headers['etag']], [200, '', after.etag])

  const document = after.answer.json() as Documented
  t.same(danglingRefs(document), [])
  const { schemas } = document.components
  const known = before.answer.json().components.schemas
  t.match(
    Object.keys(schemas)
      .filter((name) => !(name in known))
      .sort(),
    [
      ...['BatchItem', 'Data', 'Data.Crop', 'Data.Fit', 'Data.Size.5b.int.5d.', 'Data.Unit', 'FollowUp', 'Schedule', 'Submission'].map(
        (suffix) => `ResizeImage${suffix}`,
      ),
    ],
  )
  for (const [union, suffix] of Object.entries(unions)) {
    const $ref = `#/components/schemas/ResizeImage${suffix}`
    const { oneOf, discriminator } = schemas[union] as { oneOf: object[]; discriminator: object }
    t.same(oneOf.at(-1), { $ref }, union)
    t.match(discriminator, { propertyName: 'type', mapping: { 'resize-image': $ref, 'send-sms': /SendSms/ } })
    t.same(Object.keys(schemas[`ResizeImage${suffix}`] as object).sort(), Object.keys(schemas[`SendSms${suffix}`] as object).sort())
    t.same(
      Object.keys(schemas[`ResizeImage${suffix}`]?.['properties'] as object),
      Object.keys(schemas[`SendSms${suffix}`]?.['properties'] as object),
    )
  }
  const { properties } = schemas['ResizeImageData'] as { properties: Record<string, object> }
  t.same(properties['$ref'], { type: 'string', enum: ['#/$defs/Crop'], default: '#/$defs/Crop' }, 'values are left as they are')
  t.same(properties['how'], {
    oneOf: [{ $ref: '#/components/schemas/ResizeImageData.Crop' }, { $ref: '#/components/schemas/ResizeImageData.Fit' }],
  })

  // Validators of the document decide as the gateway does.
  const validate = createAnswerCheck(document).validatorAt(['components', 'schemas', 'JobSubmission'])
  const submissions = [
    [{ type: 'resize-image', data: resize.example }, true],
    [{ type: 'resize-image', data: { ...(resize.example as object), how: { kind: 'crop' } } }, false],
    [{ type: 'resize-image', data: { source: 1 } }, false],
    [{ type: 'send-sms', data: resize.example }, false],
  ] as const
  for (const [body, fits] of submissions) {
    t.equal(validate(body), fits, body.type)
    t.equal((await test.submit(body)).statusCode, fits ? 202 : 400)
  }
  const { examples } = (
    document.paths['/v1/jobs'] as unknown as { post: { requestBody: { content: Record<string, { examples: object }> } } }
  ).post.requestBody.content['application/json'] as { examples: Record<string, { value: unknown }> }
  t.same(examples['resize-image']?.value, { type: 'resize-image', data: resize.example }, 'ready to send')

  await eventually('the other instance shows it', async () => (await read(other)).etag === after.etag, 5000)
  t.equal((await read(other)).answer.body, after.answer.body)

  await put(t, test, 'other-type')
  t.not((await read(test)).etag, after.etag)
  t.equal((await test.request({ method: 'DELETE', url: '/v1/job-types/other-type' })).statusCode, 204)
  t.equal((await read(test)).etag, after.etag, 'the same types, the same description')
})

t.test('the job type of the README', async (t) => {
  const test = await openApp(t)
  const readme = readFileSync(join(root, 'README.md'), 'utf8')
  const section = readme.slice(readme.indexOf('### A job type of your own'))
  const [type, job] = Array.from(section.matchAll(/ -d '(.*?)'\n/gs), ([, body = '']) => JSON.parse(body))
  await put(t, test, 'resize-image', type)
  t.match((await test.submit(job)).json(), { type: 'resize-image', typeVersion: 1, state: 'waiting' })
  const jobs = await test.request({ method: 'GET', url: '/v1/jobs?type=resize-image' })
  t.match(jobs.json().items, [{ type: 'resize-image', state: 'waiting' }])
})

t.test('no name hides another', async (t) => {
  const test = await openApp(t)
  const before = await readDocument(test)
  const names = ['a-b1', 'ab-1', 'ab1', 'a-b', 'ab', 'job', 'sync-lark-bitable-create', 'job-submission', 'a--b', 'send-sms-data']
  for (const [index, name] of names.entries()) await put(t, test, name, definition(closedObject({ [`m${index}`]: source }), {}))
  const document = await readDocument(test)
  t.same(danglingRefs(document), [])
  for (const [name, schema] of Object.entries(before.components.schemas))
    if (!(name in unions)) t.same(document.components.schemas[name], schema, `${name} is as it was`)
  t.equal(
    Object.keys(document.components.schemas).length,
    Object.keys(before.components.schemas).length + names.length * suffixes.length,
    'each schema has a name of its own',
  )
  const { oneOf } = document.components.schemas['JobSubmission'] as { oneOf: { $ref: string }[] }
  const found = oneOf.map(({ $ref }) => {
    const { properties } = document.components.schemas[$ref.split('/').at(-1) as string] as {
      properties: { type: { enum: string[] }; data: { $ref: string } }
    }
    const data = document.components.schemas[properties.data.$ref.split('/').at(-1) as string] as { properties?: object }
    return [properties.type.enum[0], Object.keys(data.properties ?? {})[0]] as const
  })
  for (const [index, name] of names.entries()) t.equal(new Map(found).get(name), `m${index}`, `${name} has its own data`)
  t.ok('Job_Submission' in document.components.schemas)
  t.ok('SyncLarkBitableCreate_Data' in document.components.schemas)
  for (const name of Object.keys(document.components.schemas)) t.match(name, /^[\w.-]+$/)
  t.same(parse((await read(test, '/openapi.yaml')).answer.body), document)
})

t.test('500 types of 32 KiB hold up nothing', async (t) => {
  const test = await openApp(t)
  const { jobTypes } = test.services
  const members = Object.fromEntries(
    Array.from({ length: 190 }, (_, index) => [`member${index}`, { type: 'string', maxLength: 100, description: 'x'.repeat(110) }]),
  )
  const data = closedObject(members)
  t.ok(JSON.stringify(data).length > 31_000)
  jobTypes.replace(
    Array.from({ length: 500 }, (_, index) => ({ type: toJobType(`own-${index}`, definition(structuredClone(data), {}), []), version: 1 })),
  )
  for (const url of ['/openapi.json', '/openapi.yaml']) {
    let longest = 0
    let isRendering = true
    const watch = async () => {
      // In time of the processor: what other processes take is not held up by this one.
      for (let last = process.cpuUsage(); isRendering; ) {
        await new Promise((resolve) => setImmediate(resolve))
        const { user, system } = process.cpuUsage(last)
        longest = Math.max(longest, (user + system) / 1000)
        last = process.cpuUsage()
      }
    }
    const watching = watch()
    const began = performance.now()
    const { status } = await read(test, url, { 'if-none-match': '*' })
    isRendering = false
    await watching
    t.equal(status, 304)
    t.comment(`${url}: rendered in ${Math.round(performance.now() - began)} ms, at most ${longest.toFixed(1)} ms without a turn`)
    // It is 10 to 40 ms, with all threads that collect garbage; rendered at once it would be a second.
    t.ok(longest < 200, `${longest} ms`)
  }
  const { answer } = await read(test)
  t.equal(Object.keys(answer.json().components.schemas).filter((name) => /^Own-\d+Data$/.test(name)).length, 500)
})
