// Holds Dockerfile and docker-compose.yml to what a container of Jobgate needs; no engine runs here.

import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Redis } from 'ioredis'
import t from 'tap'
import { parse } from 'yaml'
import { allVariables } from '../../src/builtin/config.js'
import { Environment } from '../../src/config/environment.js'
import { root } from '../helpers/source-files.js'

const dockerfile = readFileSync(join(root, 'Dockerfile'), 'utf8')
const composeText = readFileSync(join(root, 'docker-compose.yml'), 'utf8')

interface Service {
  image: string
  build?: string
  command?: string[]
  init?: boolean
  read_only?: boolean
  user?: string
  tmpfs?: string[]
  privileged?: boolean
  cap_add?: string[]
  ports?: string[]
  container_name?: string
  cap_drop?: string[]
  security_opt?: string[]
  stop_grace_period?: string
  environment?: Record<string, string>
  volumes?: string[]
  depends_on?: Record<string, { condition: string }>
  healthcheck: { test?: string[]; disable?: boolean }
}
const compose = parse(composeText, { merge: true }) as { services: Record<string, Service>; volumes: Record<string, null> }
const service = (name: string): Service => {
  const found = compose.services[name]
  if (!found) throw new Error(`docker-compose.yml has no service ${name}`)
  return found
}

t.test('the image runs as a numbered user, in exec form, with a health check by node on /livez', async (t) => {
  const stages = dockerfile.match(/^FROM .+$/gm) ?? []
  t.ok(stages.length >= 2, 'several stages')
  for (const stage of stages) t.match(stage, /^FROM node:24-[a-z]+-slim(@sha256:[0-9a-f]{64})?( AS build)?$/)
  const last = dockerfile.slice(dockerfile.lastIndexOf('\nFROM '))
  t.match(last, /^USER [1-9]\d*:[1-9]\d*$/m)
  t.match(last, /^ENTRYPOINT \["node", "dist\/main\.js"\]$/m)
  t.match(last, /^CMD \["serve"\]$/m)
  t.match(last, /HEALTHCHECK [^\n]*\\\n {2}CMD \["node", .*\/livez/)
  t.notMatch(last, /^(RUN|ADD) /m, 'the last stage only copies')
})

t.test('every variable that image and compose file set is one of ours', async (t) => {
  const known = new Set([...Object.keys(allVariables), 'NODE_ENV'])
  const image = [...(/^ENV (.+)$/m.exec(dockerfile)?.[1] ?? '').matchAll(/(\w+)=/g)].map(([, name]) => name as string)
  const services = ['gateway', 'worker'].flatMap((name) => Object.keys(service(name).environment ?? {}))
  t.same(
    [...image, ...services].filter((name) => !known.has(name)),
    [],
  )
})

t.test('Redis keeps its jobs: append-only file on a volume, nothing evicted', async (t) => {
  const { command = [], volumes, ports } = service('redis')
  t.match(command.join(' '), /--appendonly yes/)
  t.match(command.join(' '), /--maxmemory-policy noeviction/)
  t.same(volumes, ['redis-data:/data'])
  t.ok('redis-data' in compose.volumes)
  t.equal(ports, undefined, 'not reachable from outside')
})

/** What compose makes of `${NAME}`, `${NAME:-default}` and `${NAME:?message}`. */
const interpolate = (text: string, values: Record<string, string>): string =>
  text.replace(/\$\{(\w+)(?::([-?])([^}]*))?\}/g, (_match, name: string, operator?: string, word = '') => {
    const value = values[name]
    if (value) return value
    if (operator === '?') throw new Error(word)
    return operator === '-' ? word : ''
  })

t.test('Redis asks for a password, which nothing has by default', async (t) => {
  const { command = [], environment = {} } = service('redis')
  const places = [
    ...command,
    environment['REDISCLI_AUTH'],
    ...['gateway', 'worker'].map((name) => service(name).environment?.['REDIS_PASSWORD']),
  ]
  const asking = places.filter((text) => text?.includes('REDIS_PASSWORD')) as string[]
  t.equal(asking.length, 4)
  for (const text of asking) {
    t.throws(() => interpolate(text, {}), { message: /REDIS_PASSWORD/ })
    t.equal(interpolate(text, { REDIS_PASSWORD: 'secret' }), 'secret')
  }
})

t.test('Redis starts as written: closed without the password, open with it, and its health check knows it', async (t) => {
  // Characters that shells, addresses and files of settings give a meaning.
  const values = { REDIS_PASSWORD: `a b'"$@:/#%\\` }
  const { command = [], environment = {}, healthcheck } = service('redis')
  const [program = '', ...args] = command.map((word) => interpolate(word, values))
  const folder = await mkdtemp(join(tmpdir(), 'jg-'))
  const path = join(folder, 'redis.sock')
  const server = spawn(program, [...args, '--port', '0', '--unixsocket', path, '--dir', folder], { stdio: 'ignore' })
  const ended = once(server, 'exit')
  t.after(async () => {
    server.kill('SIGKILL')
    await ended
    await rm(folder, { recursive: true, force: true })
  })
  const client = new Redis({ path, password: values.REDIS_PASSWORD })
  // It tries again until the server is there.
  client.on('error', () => {})
  t.equal(await client.ping(), 'PONG')
  await client.quit()
  const [kind, check = ''] = healthcheck.test ?? []
  t.equal(kind, 'CMD-SHELL')
  const health = (auth: string) =>
    spawnSync('sh', ['-c', check.replace('redis-cli', `redis-cli -s ${path}`)], { env: { ...process.env, REDISCLI_AUTH: auth } }).status
  t.equal(health(interpolate(environment['REDISCLI_AUTH'] ?? '', values)), 0)
  t.not(health(''), 0, 'nobody gets in without it')
})

t.test('the start order waits for health', async (t) => {
  const conditions = (name: string) =>
    Object.fromEntries(Object.entries(service(name).depends_on ?? {}).map(([on, { condition }]) => [on, condition]))
  t.same(conditions('gateway'), { redis: 'service_healthy' })
  t.same(conditions('worker'), { redis: 'service_healthy', mailbox: 'service_healthy', gateway: 'service_healthy' })
  for (const name of ['gateway', 'redis', 'mailbox']) t.ok(service(name).healthcheck.test, `${name} has a health check`)
})

t.test('no service has rights that it does not need, or writes anywhere but to its volume and to memory', async (t) => {
  const writable = Object.entries(compose.services).map(([name, { volumes = [], tmpfs = [] }]) => [name, [...volumes, ...tmpfs]])
  t.same(Object.fromEntries(writable), {
    gateway: ['gateway-data:/app/data', '/tmp'],
    worker: ['/tmp'],
    redis: ['redis-data:/data'],
    mailbox: ['/tmp'],
  })
  for (const [name, { read_only, cap_drop, cap_add, security_opt, privileged, user }] of Object.entries(compose.services)) {
    t.same(
      { read_only, cap_drop, cap_add, security_opt, privileged },
      { read_only: true, cap_drop: ['ALL'], cap_add: undefined, security_opt: ['no-new-privileges:true'], privileged: undefined },
      name,
    )
    // Ours says so in its image.
    if (!service(name).build) t.match(user, /^[1-9]\d*:[1-9]\d*$/, `${name} is not root`)
  }
})

t.test('images of others carry a version, and a digest that is whole if they carry one', async (t) => {
  const bases = dockerfile.match(/(?<=^FROM )\S+/gm) ?? []
  const used = Object.values(compose.services).flatMap(({ image, build }) => (build ? [] : [image]))
  t.equal(used.length, 2)
  for (const image of [...bases, ...used]) t.match(image, /^[a-z/]+:v?\d+[\w.-]*(@sha256:[0-9a-f]{64})?$/)
  t.equal(new Set(bases).size, 1, 'what was built runs on what it was built on')
})

t.test('gateway and worker: one image, time to stop', async (t) => {
  for (const name of ['gateway', 'worker']) {
    const { image, init, stop_grace_period } = service(name)
    t.same({ image, init }, { image: 'jobgate:local', init: true })
    const { SHUTDOWN_DRAIN_MS, SHUTDOWN_GRACE_MS } = Environment.properties
    const neededSeconds = (SHUTDOWN_DRAIN_MS.default + SHUTDOWN_GRACE_MS.default) / 1000
    t.ok(Number.parseInt(stop_grace_period ?? '0', 10) > neededSeconds, `longer than ${neededSeconds} s`)
  }
})

t.test('workers can be scaled: no name, no port of their own', async (t) => {
  const { command, container_name, ports, healthcheck } = service('worker')
  t.same(command, ['worker'])
  t.equal(container_name, undefined)
  t.equal(ports, undefined)
  t.equal(healthcheck.disable, true, 'the check of the image asks HTTP')
})

t.test('published ports are for this machine only', async (t) => {
  for (const { ports = [] } of Object.values(compose.services)) for (const port of ports) t.match(port, /^127\.0\.0\.1:/)
})
