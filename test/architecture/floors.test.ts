// Holds the house together: who may import whom, and which packages stay behind which door.

import t from 'tap'
import { floorOf, parseSource, readSource, type SourceFile } from '../helpers/source-files.js'

/** Lowest first; a file imports from its own floor or a lower one. */
const floors = [
  'runtime',
  'config',
  'telemetry',
  'redis',
  'outbound',
  'types',
  'bullmq',
  'idempotency',
  'auth',
  'jobs',
  'attempts',
  'leases',
  'schedules',
  'operations',
  'catalog',
  'mail',
  'analysis',
  'vendors',
  'builtin',
  'worker',
  'gateway',
  'http',
  'routes',
  'app',
  'cli',
  'main',
]

/**
 * Packages with a door of their own: where they may be imported, as floors or files.
 * Vendor SDKs belong here from the day one is installed.
 */
const doors: readonly { readonly packages: RegExp; readonly within: readonly string[] }[] = [
  {
    packages: /^(fastify|fastify-plugin|@fastify\/(?!ajv-compiler$|fast-json-stringify-compiler$).+)$/,
    within: ['routes', 'http', 'app'],
  },
  // Ajv and fast-json-stringify under Fastify's name, without HTTP.
  { packages: /^@fastify\/ajv-compiler$/, within: ['types/validator.ts'] },
  { packages: /^ajv-formats($|\/)/, within: ['types/contracts/formats.ts'] },
  { packages: /^re2js$/, within: ['types/contracts/pattern.ts'] },
  { packages: /^@fastify\/fast-json-stringify-compiler$/, within: ['http/serializer.ts'] },
  { packages: /^bullmq($|\/)/, within: ['bullmq', 'attempts/in-process-worker.ts', 'operations/board-queues.ts'] },
  { packages: /^ioredis($|\/)/, within: ['redis'] },
  { packages: /^@bull-board\//, within: ['routes/admin/board.ts'] },
  { packages: /^prom-client($|\/)/, within: ['telemetry/metrics.ts'] },
  { packages: /^@opentelemetry\//, within: ['telemetry/open-telemetry.ts'] },
  { packages: /^nodemailer($|\/)/, within: ['mail'] },
  { packages: /^undici($|\/)/, within: ['outbound', 'vendors'] },
  { packages: /^(@aws-sdk\/.+|@smithy\/.+)$/, within: ['vendors/object-storage'] },
  { packages: /^(node:)?child_process$/, within: ['redis/embedded.ts'] },
]

const floorFaults = (file: SourceFile): string[] => {
  const own = floors.indexOf(floorOf(file.path))
  if (own < 0) return [`src/${file.path}:1 stands on no known floor`]
  return file.imports.flatMap(({ line, target }) => {
    if (target === null) return []
    const other = floors.indexOf(floorOf(target))
    return other <= own && other >= 0 ? [] : [`src/${file.path}:${line} ${floors[own]} → ${floorOf(target)} (${target})`]
  })
}

/** A place is a folder or a file. */
const isWithin = (path: string, place: string): boolean => path === place || path === `${place}.ts` || path.startsWith(`${place}/`)

const doorFaults = (file: SourceFile): string[] =>
  file.imports.flatMap(({ line, specifier }) =>
    doors
      .filter(({ packages, within }) => packages.test(specifier) && !within.some((place) => isWithin(file.path, place)))
      .map(({ within }) => `src/${file.path}:${line} ${specifier} belongs in ${within.join(', ')}`),
  )

const formFaults = (file: SourceFile): string[] => [
  ...file.enums.map((line) => `src/${file.path}:${line} declares an enum`),
  ...(file.path.startsWith('config/') ? [] : file.environment.map((line) => `src/${file.path}:${line} reads process.env`)),
  ...(/(^|\/)index\.ts$/.test(file.path) ? [`src/${file.path}:1 is an index file`] : []),
  ...(file.path.split('/').length > 3 ? [`src/${file.path}:1 lies deeper than two folders`] : []),
]

/** The first cycle found from each file that is part of one. */
const cycles = (files: readonly SourceFile[]): string[] => {
  const byPath = new Map(files.map((file) => [file.path, file]))
  const done = new Set<string>()
  const found: string[] = []
  const visit = (path: string, trail: readonly string[]): void => {
    const start = trail.indexOf(path)
    if (start >= 0) {
      found.push([...trail.slice(start), path].join(' → '))
      return
    }
    if (done.has(path)) return
    for (const { target } of byPath.get(path)?.imports ?? []) if (target) visit(target, [...trail, path])
    done.add(path)
  }
  for (const { path } of files) visit(path, [])
  return found
}

const files = readSource()

t.test('a file imports from its own floor or a lower one', async (t) => {
  t.ok(files.length > 0, 'there are files to read')
  t.same(files.flatMap(floorFaults), [])
})

t.test('every import of ours leads to a file', async (t) => {
  const paths = new Set(files.map(({ path }) => path))
  const lost = files.flatMap(({ path, imports }) =>
    imports.filter(({ target }) => target !== null && !paths.has(target)).map(({ line, specifier }) => `src/${path}:${line} ${specifier}`),
  )
  t.same(lost, [])
})

t.test('packages stay behind their doors', async (t) => {
  t.same(files.flatMap(doorFaults), [])
})

t.test('process.env in config/ only, no enums, no index files, two folders deep at most', async (t) => {
  t.same(files.flatMap(formFaults), [])
})

t.test('no cycles', async (t) => {
  t.same(cycles(files), [])
})

t.test('the check names file, line and offending pair', async (t) => {
  const bad = parseSource('jobs/bad.ts', "import t from 'node:os'\nimport { x } from '../routes/submit.js'\nimport Redis from 'ioredis'\n")
  t.same(floorFaults(bad), ['src/jobs/bad.ts:2 jobs → routes (routes/submit.ts)'])
  t.same(doorFaults(bad), ['src/jobs/bad.ts:3 ioredis belongs in redis'])
  const worse = parseSource('outbound.ts', "export enum A { b }\nconst e = process.env.HOME\nexport const f = () => import('fastify')\n")
  t.same(formFaults(worse), ['src/outbound.ts:1 declares an enum', 'src/outbound.ts:2 reads process.env'])
  t.same(doorFaults(worse), ['src/outbound.ts:3 fastify belongs in routes, http, app'])
  const pair = [parseSource('redis/a.ts', "export * from './b.js'"), parseSource('redis/b.ts', "import type { A } from './a.js'")]
  t.same(cycles(pair), ['redis/a.ts → redis/b.ts → redis/a.ts'])
})
