// Registered job types in processes of their own: they outlive a restart of everything, work in every mode of Redis, and leave nothing behind.

import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import t, { type Test } from 'tap'
import { buildTestApp } from '../helpers/build-test-app.js'
import { eventually } from '../helpers/eventually.js'
import { startCluster, startSentinel } from '../helpers/redis-clusters.js'
import { adminKey, createDataDir, startProbeGateway, startUnreadyProbeGateway } from '../helpers/start-probe-process.js'

const name = 'own-type'
const definition = {
  description: 'For the test.',
  data: { type: 'object', properties: { n: { type: 'integer' } }, additionalProperties: false },
  example: {},
  runs: { by: 'pull' },
}

const ask = async (url: string, method: string, path: string, body?: object) => {
  const answer = await fetch(url + path, {
    method,
    headers: { authorization: `Bearer ${adminKey}`, ...(body ? { 'content-type': 'application/json' } : {}) },
    ...(body ? { body: JSON.stringify(body) } : {}),
  })
  const text = await answer.text()
  return { status: answer.status, body: text === '' ? undefined : JSON.parse(text) }
}
const submit = (url: string) => ask(url, 'POST', '/v1/jobs', { type: name, data: { n: 1 }, options: { delayMs: 3_600_000 } })
const register = (url: string) => ask(url, 'PUT', `/v1/job-types/${name}`, definition)

t.test('gateway and embedded Redis restart at once: the first submission is accepted', async (t) => {
  const { dataDir } = await createDataDir(t)
  const first = await startProbeGateway(t, { dataDir })
  t.equal((await register(first.url)).status, 201)
  const { body: job } = await submit(first.url)
  t.equal(await first.close(), 0)
  const second = await startUnreadyProbeGateway(t, { dataDir })
  // Not before it listens, and not a moment later: 503 until Redis is there, and never 400.
  const statuses: number[] = []
  do statuses.push((await submit(second.url)).status)
  while (statuses.at(-1) === 503 && statuses.length < 1000)
  t.equal(statuses.at(-1), 202, statuses.join(' '))
  t.match((await ask(second.url, 'GET', `/v1/jobs/${job.id}`)).body, { id: job.id, typeVersion: 1 })
  t.equal((await ask(second.url, 'GET', `/v1/job-types/${name}/versions/1`)).status, 200)
})

const throughItsLife = async (t: Test, env: Record<string, string>, during = async () => {}) => {
  const { dataDir } = await createDataDir(t)
  const [one, other] = await Promise.all([startProbeGateway(t, { dataDir, env }), startProbeGateway(t, { dataDir, env })])
  t.equal((await register(one.url)).status, 201)
  const { status, body } = await submit(other.url)
  t.equal(status, 202, JSON.stringify(body))
  await during()
  await eventually('it is read', async () => (await ask(one.url, 'GET', `/v1/jobs/${body.id}`)).status === 200)
  await eventually('another is accepted', async () => (await submit(one.url)).status === 202)
  t.equal((await ask(one.url, 'DELETE', `/v1/job-types/${name}`)).status, 409)
  await eventually('the type is deleted', async () => {
    const { body: list } = await ask(one.url, 'GET', `/v1/jobs?type=${name}&state=delayed`)
    for (const { id } of list.items ?? []) await ask(one.url, 'DELETE', `/v1/jobs/${id}`)
    return (await ask(one.url, 'DELETE', `/v1/job-types/${name}`)).status === 204
  })
  t.equal((await ask(one.url, 'GET', `/v1/jobs/${body.id}`)).status, 404)
  await eventually('the other one knows', async () => (await submit(other.url)).status === 400)
}

t.test('Redis Cluster, in several partitions', async (t) => {
  const { hosts } = await startCluster(t)
  await throughItsLife(t, { REDIS_CLUSTER_NODES: hosts.map(({ host, port }) => `${host}:${port}`).join(','), PARTITIONS: '3' })
})

t.test('Sentinel, and the loss of the master', async (t) => {
  const { hosts, master, name: sentinelName } = await startSentinel(t)
  const env = {
    REDIS_SENTINELS: hosts.map(({ host, port }) => `${host}:${port}`).join(','),
    REDIS_SENTINEL_NAME: sentinelName,
    DURABILITY: 'replicated',
  }
  await throughItsLife(t, env, async () => {
    master.process.kill('SIGKILL')
  })
})

t.test('many registrations and deletions leave nothing behind', async (t) => {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  const count = Number(process.env['REGISTRATIONS'] ?? 600)
  const test = await buildTestApp(t, { env: { LOG_LEVEL: 'error' } })
  const { redis } = test.services
  const round = async (from: number, size: number) => {
    await Promise.all(
      Array.from({ length: size }, async (_, at) => {
        const path = `/v1/job-types/own-${from + at}`
        const put = await test.app.inject({
          method: 'PUT',
          url: path,
          payload: definition,
          headers: { authorization: 'Bearer admin-key-of-the-tests' },
        })
        if (put.statusCode !== 201) t.fail(`${put.statusCode} ${put.body}`)
        const job = await test.submit({ type: `own-${from + at}`, data: { n: 1 }, options: { delayMs: 3_600_000 } })
        await test.request({ method: 'DELETE', url: `/v1/jobs/${job.json().id}` })
        const removed = await test.request({ method: 'DELETE', url: path })
        if (removed.statusCode !== 204) t.fail(`${removed.statusCode} ${removed.body}`)
      }),
    )
  }
  const look = async () => {
    await eventually('all are gone', () => test.services.jobTypes.all.every(({ registered }) => !registered))
    collect()
    return {
      keys: await redis.request.dbsize(),
      connections: ((await redis.request.client('LIST')) as string).trim().split('\n').length,
      listeners: redis.request.listenerCount('ready') + redis.request.listenerCount('close') + redis.request.listenerCount('error'),
      resources: process.getActiveResourcesInfo().filter((each) => each !== 'Timeout' && each !== 'Immediate').length,
      heap: process.memoryUsage().heapUsed,
    }
  }
  await round(0, 20)
  await round(20, 20)
  const before = await look()
  for (let at = 100; at < 100 + count; at += 20) await round(at, 20)
  const after = await look()
  t.comment(`${count}: ${JSON.stringify({ before, after })}`)
  t.equal(after.listeners, before.listeners)
  t.ok(after.keys <= before.keys + 3, `keys: ${before.keys}, then ${after.keys}`)
  t.ok(after.connections <= before.connections + 1, 'connections')
  t.ok(after.resources <= before.resources + 2, 'resources')
  t.ok(after.heap - before.heap < 12e6, `heap: ${after.heap - before.heap} bytes more`)
})
