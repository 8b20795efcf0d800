// Every way to name a Redis, against real servers: a command is carried out, and a lost master is survived.

import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { Redis } from 'ioredis'
import pino from 'pino'
import t from 'tap'
import { loadConfig } from '../../src/config/config.js'
import { openRedis, type RedisClient } from '../../src/redis/connect.js'
import { eventually } from '../helpers/eventually.js'
import { freePorts, startCluster, startSentinel, startServer } from '../helpers/redis-clusters.js'
import { startRedis, type TestScope } from '../helpers/start-redis.js'

const run = promisify(execFile)
const log = pino({ level: 'silent' })

const openSsl = await run('openssl', ['version']).then(
  () => false as const,
  () => 'openssl is not installed: no certificate can be made',
)

/** As the process would: from variables to connections. */
const open = async (t: TestScope, env: Record<string, string>) => {
  const redis = await openRedis({ settings: loadConfig(env, tmpdir()).redis, log })
  t.after(() => redis.close())
  return redis
}

const writes = async (client: RedisClient, key = '{jobgate}:k') => {
  if (client.status !== 'ready') await once(client, 'ready')
  await client.set(key, 'v')
  return client.get(key)
}

const settles = (client: RedisClient) => () => client.set('{jobgate}:after', '1').then(Boolean, () => false)

/** An authority and a certificate for 127.0.0.1 and localhost that it signed. */
const makeCertificates = async (t: TestScope) => {
  const dir = await mkdtemp(join(tmpdir(), 'jgc-'))
  t.after(() => rm(dir, { recursive: true, force: true }))
  const file = (name: string) => join(dir, name)
  const key = ['-newkey', 'rsa:2048', '-nodes', '-days', '2']
  await run('openssl', ['req', '-x509', ...key, '-subj', '/CN=Test authority', '-keyout', file('ca.key'), '-out', file('ca.pem')])
  const names = ['-addext', 'subjectAltName=IP:127.0.0.1,DNS:localhost']
  const issuer = ['-CA', file('ca.pem'), '-CAkey', file('ca.key')]
  await run('openssl', [
    'req',
    '-x509',
    ...key,
    ...names,
    ...issuer,
    '-subj',
    '/CN=redis',
    '-keyout',
    file('key.pem'),
    '-out',
    file('cert.pem'),
  ])
  return { ca: file('ca.pem'), cert: file('cert.pem'), key: file('key.pem') }
}

t.test('REDIS_HOST and REDIS_PORT, with a user, a password and a database', async (t) => {
  const [port = 0] = await freePorts(1)
  await startServer(t, { port, lines: ['user someone on >right ~* &* +@all', 'requirepass other'] })
  const host = { REDIS_HOST: '127.0.0.1', REDIS_PORT: String(port) }
  const named = await open(t, { ...host, REDIS_USERNAME: 'someone', REDIS_PASSWORD: 'right', REDIS_DB: '2' })
  t.equal(await writes(named.request), 'v')
  t.equal((named.request as Redis).options.db, 2)
  const byPassword = await open(t, { ...host, REDIS_PASSWORD: 'other' })
  t.equal(await writes(byPassword.request, 'k2'), 'v')
  t.equal(await byPassword.request.get('{jobgate}:k'), null, 'the other database is another one')

  const url = await open(t, { REDIS_URL: `redis://someone:right@127.0.0.1:${port}/2` })
  await once(url.request, 'ready')
  t.equal(await url.request.get('{jobgate}:k'), 'v')
  const split = await open(t, { REDIS_URL: `redis://127.0.0.1:${port}`, REDIS_PASSWORD: 'other' })
  t.equal(await writes(split.request), 'v', 'the password may come beside the address')

  const wrong = await open(t, { ...host, REDIS_PASSWORD: 'wrong' })
  const [error] = (await once(wrong.request, 'error')) as [Error]
  t.match(error.message, /WRONGPASS/)
})

t.test('a unix address, with a database and a password', async (t) => {
  const { socketPath, redis } = await startRedis(t)
  const plain = await open(t, { REDIS_URL: `unix://${socketPath}?db=1` })
  t.equal(await writes(plain.request), 'v')
  const client = redis.connect('worker') as Redis
  await client.select(1)
  t.equal(await client.get('{jobgate}:k'), 'v')
  await client.config('SET', 'requirepass', 'a/b@c')
  const secret = await open(t, { REDIS_URL: `unix://:${encodeURIComponent('a/b@c')}@localhost${socketPath}` })
  t.equal(await writes(secret.request), 'v', 'with credentials an address needs a host, which means nothing here')
  const beside = await open(t, { REDIS_URL: `unix://${socketPath}`, REDIS_PASSWORD: 'a/b@c' })
  t.equal(await writes(beside.request), 'v')
})

t.test('TLS with an authority of our own', { skip: openSsl }, async (t) => {
  const { ca, cert, key } = await makeCertificates(t)
  const [port = 0, tlsPort = 0] = await freePorts(2)
  const files = [`tls-cert-file ${cert}`, `tls-key-file ${key}`, `tls-ca-cert-file ${ca}`, 'tls-auth-clients no']
  await startServer(t, { port, lines: [`tls-port ${tlsPort}`, ...files] })
  const byUrl = await open(t, { REDIS_URL: `rediss://localhost:${tlsPort}`, REDIS_TLS_CA_FILE: ca })
  t.equal(await writes(byUrl.request), 'v')
  const byHost = await open(t, { REDIS_HOST: '127.0.0.1', REDIS_PORT: String(tlsPort), REDIS_TLS: 'true', REDIS_TLS_CA_FILE: ca })
  t.equal(await writes(byHost.request), 'v')

  const unknown = await open(t, { REDIS_URL: `rediss://localhost:${tlsPort}` })
  const [error] = (await once(unknown.request, 'error')) as [NodeJS.ErrnoException]
  t.match(error.code, /SELF_SIGNED_CERT|UNABLE_TO_VERIFY/, 'a certificate of a stranger is refused')
  t.match(await readFile(ca, 'utf8'), /BEGIN CERTIFICATE/)
})

t.test('Sentinel, and the loss of the master', async (t) => {
  const { hosts, master, name } = await startSentinel(t, { name: 'jobs', password: 'secret' })
  const list = hosts.map(({ host, port }) => `${host}:${port}`).join(',')
  const redis = await open(t, { REDIS_SENTINELS: list, REDIS_SENTINEL_NAME: name, REDIS_PASSWORD: 'secret' })
  t.equal(await writes(redis.request), 'v')
  const worker = redis.connect('worker')
  t.equal(await writes(worker), 'v')
  t.ok(Number(await worker.wait(1, 5000)) >= 1, 'a replica has it')
  master.process.kill('SIGKILL')
  t.equal(await worker.set('{jobgate}:patient', '1'), 'OK', 'a worker waits for the new master')
  await eventually('the request side has found the new master', settles(redis.request))
  t.equal(await worker.get('{jobgate}:k'), 'v')
})

t.test('Cluster, with pipelines and a master that hangs', async (t) => {
  const { hosts, nodes } = await startCluster(t, { replicas: true })
  const list = hosts.map(({ host, port }) => `${host}:${port}`).join(',')
  const redis = await open(t, { REDIS_CLUSTER_NODES: list })
  t.equal(await writes(redis.request), 'v')
  const pair = await redis.request.multi().set('{jobgate}:a', '1').incr('{jobgate}:a').exec()
  t.same(pair?.at(-1), [null, 2])
  const slots = await redis.request.cluster('SLOTS')
  const slot = Number(await redis.request.cluster('KEYSLOT', '{jobgate}:k'))
  const owner = slots.find(([from, to]) => from <= slot && slot <= to)?.[2]?.[1]
  const hung = nodes.find(({ port }) => port === owner)
  hung?.process.kill('SIGSTOP')
  const failed = await redis.request
    .pipeline()
    .set('{jobgate}:b', '1')
    .get('{jobgate}:b')
    .exec()
    .then(
      (replies) => replies?.[0]?.[0],
      (error: Error) => error,
    )
  t.match(failed?.message, /^Command timed out/)
  await eventually('another node has taken over', settles(redis.request))
  hung?.process.kill('SIGCONT')
})
