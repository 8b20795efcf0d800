// Hundreds of queues of their own: what they cost a gateway with a worker while nothing happens in them.

import t, { type Test } from 'tap'
import type { RunnableJobType } from '../src/types/definition.js'
import { buildTestApp, type TestApp } from './helpers/build-test-app.js'
import { eventually } from './helpers/eventually.js'
import { parsePrometheusText } from './helpers/prometheus-text.js'

const many = 500
/** As long as the longest pause between two looks of a worker at its queue, twice. */
const windowMs = 10_000
/** What the test itself asks. */
const asked = new Set(['info', 'config|resetstat', 'client|list'])

/** How often each command was called; those within scripts count too. */
const readCalls = async ({ services }: TestApp): Promise<ReadonlyMap<string, number>> => {
  const text = await services.redis.request.info('commandstats')
  const lines = [...text.matchAll(/^cmdstat_(\S+):calls=(\d+)/gm)]
  return new Map(lines.map(([, name, calls]) => [name as string, Number(calls)] as const).filter(([name]) => !asked.has(name)))
}
const sum = (calls: ReadonlyMap<string, number>): number => [...calls.values()].reduce((all, each) => all + each, 0)
const during = async (test: TestApp, act: () => Promise<unknown>): Promise<ReadonlyMap<string, number>> => {
  await test.services.redis.request.config('RESETSTAT')
  await act()
  return readCalls(test)
}

/** An application that has had some time to come to rest. */
const open = async (t: Test, own: number): Promise<TestApp> => {
  const test = await buildTestApp(t)
  const echo = test.probes.types.find(({ name }) => name === 'echo') as RunnableJobType
  for (let at = 0; at < own; at++) test.services.jobTypes.put({ ...echo, name: `own-${at}`, queue: `own-${at}` })
  await eventually('the worker told of all its queues', async () => (await test.services.workerInstances())[0]?.queues.length === own + 3)
  return test
}

const idleFor = async (test: TestApp) => {
  const start = Date.now()
  const calls = await during(test, () => eventually('some time has passed', () => Date.now() - start >= windowMs))
  const seconds = (Date.now() - start) / 1000
  const clients = ((await test.services.redis.request.client('LIST')) as string).trim().split('\n').length
  return { perSecond: sum(calls) / seconds, clients, calls }
}

t.test(`${many} queues`, async (t) => {
  const [without, test] = [await open(t, 0), await open(t, many)]

  await t.test('idle, they add next to no commands, and one connection', async (t) => {
    const [few, { perSecond, clients, calls }] = await Promise.all([idleFor(without), idleFor(test)])
    t.comment(`commands a second: ${few.perSecond.toFixed(1)} with three queues, ${perSecond.toFixed(1)} with ${many} more`)
    t.ok(perSecond <= few.perSecond + many / 100, JSON.stringify([...calls]))
    t.ok(clients <= few.clients + 1)
  })

  await t.test('they are counted in few round trips', async (t) => {
    const scripts = (calls: ReadonlyMap<string, number>) => (calls.get('evalsha') ?? 0) + (calls.get('eval') ?? 0)
    const get = (url: string) => test.request({ method: 'GET', url })
    for (const path of ['health', 'metrics?minutes=1', '']) {
      const calls = await during(test, async () => {
        t.equal((await get(`/admin/queues${path && `/${path}`}`)).statusCode, 200)
      })
      t.ok(scripts(calls) < many / 10, `${path}: ${scripts(calls)}`)
    }
    const metrics = parsePrometheusText(await test.services.metrics.render())
    const queues = new Set(metrics.get('jobgate_queue_paused')?.samples.map(({ labels }) => labels['queue']))
    t.equal(queues.size, 3 + 100 + 1, 'metrics tell a hundred of them apart')
    t.ok(queues.has('other'))
  })

  await t.test('jobs in any of them are run', async (t) => {
    const ids = await Promise.all(
      [0, 250, many - 1].map(async (at) => (await test.submit({ type: `own-${at}`, data: { label: 'x' } })).json().id),
    )
    for (const id of ids) t.match(await test.finished(id), { state: 'completed' })
  })
})
