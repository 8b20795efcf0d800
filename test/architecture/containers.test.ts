// Holds Dockerfile and docker-compose.yml to what a container of Jobgate needs; no engine runs here.

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
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
  for (const stage of stages) t.match(stage, /^FROM node:24-\S+-slim( AS build)?$/)
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

t.test('the start order waits for health', async (t) => {
  const conditions = (name: string) =>
    Object.fromEntries(Object.entries(service(name).depends_on ?? {}).map(([on, { condition }]) => [on, condition]))
  t.same(conditions('gateway'), { redis: 'service_healthy' })
  t.same(conditions('worker'), { redis: 'service_healthy', mailbox: 'service_healthy', gateway: 'service_healthy' })
  for (const name of ['gateway', 'redis', 'mailbox']) t.ok(service(name).healthcheck.test, `${name} has a health check`)
})

t.test('gateway and worker: one image, few rights, time to stop', async (t) => {
  for (const name of ['gateway', 'worker']) {
    const { image, init, read_only, cap_drop, security_opt, stop_grace_period } = service(name)
    t.match(
      { image, init, read_only, cap_drop, security_opt },
      {
        image: 'jobgate:local',
        init: true,
        read_only: true,
        cap_drop: ['ALL'],
        security_opt: ['no-new-privileges:true'],
      },
    )
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
