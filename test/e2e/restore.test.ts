// What docs/operations.md says of a restored snapshot: older jobs run again, younger ones and their keys are gone.

import { copyFile, mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { Redis } from 'ioredis'
import t from 'tap'
import { eventually } from '../helpers/eventually.js'
import { freePorts, startServer } from '../helpers/redis-clusters.js'
import { adminKey, createDataDir, startProbeGateway, startProbeWorker } from '../helpers/start-probe-process.js'

const deadlineMs = 60_000

t.test('a snapshot, restored as the page says', async (t) => {
  const { dataDir, runs } = await createDataDir(t)
  const files = join(dataDir, 'redis')
  await mkdir(files)
  const [port] = (await freePorts(1)) as [number]
  // The last `dir` and `appendonly` hold.
  const startRedis = (appendonly: 'yes' | 'no') => startServer(t, { port, lines: [`dir ${files}`, `appendonly ${appendonly}`] })
  let redis = await startRedis('yes')
  const client = new Redis({ port, host: '127.0.0.1' })
  client.on('error', () => {})
  t.after(() => client.disconnect())

  const env = { REDIS_URL: `redis://127.0.0.1:${port}` }
  const gateway = await startProbeGateway(t, { dataDir, env })
  const call = async (
    method: string,
    path: string,
    { body, key = adminKey, headers = {} }: { body?: unknown; key?: string; headers?: object } = {},
  ) => {
    const answer = await fetch(gateway.url + path, {
      method,
      headers: { authorization: `Bearer ${key}`, ...(body === undefined ? {} : { 'content-type': 'application/json' }), ...headers },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    })
    const content = await answer.text()
    return { status: answer.status, replayed: answer.headers.get('idempotent-replayed'), body: content === '' ? null : JSON.parse(content) }
  }
  const submit = (label: string) =>
    call('POST', '/v1/jobs', { body: { type: 'echo', data: { label } }, headers: { 'idempotency-key': `"${label}"` } })
  const completed = (id: string) =>
    eventually(`${id} has completed`, async () => (await call('GET', `/v1/jobs/${id}`)).body.state === 'completed', deadlineMs)
  const startsOf = async (id: string) => (await runs.read()).filter((line) => line.jobId === id && line.what === 'start').length

  const older = (await submit('older')).body.id
  const issued = (await call('POST', '/admin/api-keys', { body: { name: 'shop', scopes: ['jobs:read'] } })).body
  await client.save()
  await copyFile(join(files, 'dump.rdb'), join(dataDir, 'back-up.rdb'))

  const worker = await startProbeWorker(t, { dataDir, env })
  const younger = (await submit('younger')).body.id
  await Promise.all([older, younger].map(completed))
  await call('DELETE', `/admin/api-keys/${issued.apiKey.id}`)
  t.equal((await call('GET', '/v1/jobs', { key: issued.key })).status, 401)
  await worker.close()

  redis.process.kill('SIGTERM')
  await eventually('Redis has stopped', () => redis.process.exitCode !== null, deadlineMs)
  await rm(join(files, 'appendonlydir'), { recursive: true })
  await copyFile(join(dataDir, 'back-up.rdb'), join(files, 'dump.rdb'))
  redis = await startRedis('no')
  await client.config('SET', 'appendonly', 'yes')
  await eventually('the gateway is back', async () => (await fetch(`${gateway.url}/readyz`)).ok, deadlineMs)

  t.equal((await call('GET', `/v1/jobs/${older}`)).body.state, 'waiting', 'what finished since waits again')
  t.equal((await call('GET', `/v1/jobs/${younger}`)).status, 404, 'what was accepted since is gone')
  await eventually('the key is valid again', async () => (await call('GET', '/v1/jobs', { key: issued.key })).status === 200, deadlineMs)

  const again = { older: await submit('older'), younger: await submit('younger') }
  t.match(again.older, { status: 202, replayed: 'true', body: { id: older } }, 'its key holds')
  t.match(again.younger, { status: 202, replayed: null }, 'this key is gone')
  t.not(again.younger.body.id, younger)
  await startProbeWorker(t, { dataDir, env })
  await Promise.all([older, again.younger.body.id].map(completed))
  t.equal(await startsOf(older), 2, 'and has run twice')
})
