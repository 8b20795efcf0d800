// What is relied on in BullMQ: checked at the start, and workers that wait for a delayed job wake when it is due.

import t from 'tap'
import { loadScript, requireFacts } from '../../src/bullmq/facts.js'
import { buildTestApp } from '../helpers/build-test-app.js'
import { eventually } from '../helpers/eventually.js'
import { startOwnRedis } from '../helpers/own-redis.js'
import { createDataDir } from '../helpers/start-probe-process.js'

t.test('a worker waits for fractions of a second', async (t) => {
  const { dataDir } = await createDataDir(t)
  const redis = await startOwnRedis(t, dataDir)
  // Before anybody else calls: ioredis 6 takes what it sees together with the answer to MONITOR for answers too.
  const monitor = await redis.client.monitor()
  t.after(() => monitor.disconnect())
  const app = await buildTestApp(t, { env: { REDIS_URL: redis.url } })
  const waits: string[] = []
  monitor.on('monitor', (_time: string, [name, key, timeout]: string[]) => {
    if (name?.toLowerCase() === 'bzpopmin' && key?.endsWith(':external-api:marker')) waits.push(timeout as string)
  })
  await app.submit({ type: 'echo', data: { label: 'x' }, options: { delayMs: 5_500 } })
  await eventually('it waits for what is delayed', () => waits.some((timeout) => timeout.includes('.')))
  t.pass(`waited ${waits.join(', ')} s`)
})

t.test('a start with a BullMQ that does otherwise fails with what has changed', async (t) => {
  t.doesNotThrow(() => requireFacts())
  const changed = (script: string, from: string, to: string) => (name: string, keys: number) => {
    const { content } = loadScript(name, keys)
    return { name, content: name === script ? content.replaceAll(from, to) : content }
  }
  t.throws(() => requireFacts(changed('addDelayedJob', '0x1000', '0x2000')), {
    message: /script addDelayedJob has changed: expected "local minScore = delayedTimestamp \* 0x1000"/,
  })
  t.throws(() => requireFacts(changed('moveToActive', '"ats"', '"attemptsStarted"')), { message: /script moveToActive has changed/ })
  t.throws(() => requireFacts(changed('addPrioritizedJob', '-- Includes', '')), { message: /has changed how it adds a job/ })
})
