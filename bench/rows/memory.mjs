// Memory that Redis takes for each job, waiting and finished, and for each idempotency key.

import { setTimeout as pause } from 'node:timers/promises'
import { openLab, post } from '../lab.mjs'

const jobs = 20_000
const perBatch = 500
const pollMs = 50
const prefix = '{jobgate}'
const queue = `${prefix}:external-api`

export const title = `Memory in Redis, bytes each, over ${jobs} jobs`

/** Without the events, of which about 50,000 are kept whatever the number of jobs. */
const usedBytes = async (client) => {
  await client.xtrim(`${queue}:events`, 'MAXLEN', 0)
  return Number(/used_memory:(\d+)/.exec(await client.info('memory'))[1])
}

const dropKeys = async (client) => {
  let cursor = '0'
  do {
    const [next, found] = await client.scan(cursor, 'MATCH', `${prefix}:gate:idem:*`, 'COUNT', 1000)
    cursor = next
    if (found.length > 0) await client.del(found)
  } while (cursor !== '0')
}

/** `source` `lark` makes every job fail permanently: the payload is not one of Lark's. */
const submit = async (address, source, noteBytes) => {
  const payload = { recording: 'rec-1', note: 'x'.repeat(noteBytes) }
  for (let from = 0; from < jobs; from += perBatch) {
    const items = Array.from({ length: perBatch }, (_, n) => ({
      type: 'process-webhook',
      data: { source, eventId: `evt-${from + n}`, eventType: 'recording.completed', payload },
      idempotencyKey: `key-${source}-${from + n}`,
    }))
    const answer = await post(`${address}/v1/jobs/batch`, { items })
    if (answer.items.some(({ status }) => status !== 202)) throw new Error('a job was not accepted')
  }
}

/** One life of many jobs on a Redis of their own. */
const measure = async (lab, source, noteBytes) => {
  const redis = await lab.startRedis()
  const { client } = redis
  const gateway = await lab.startGateway(redis)
  // What there is once, such as the text of the scripts.
  const empty = await usedBytes(client)
  await submit(gateway.address, source, noteBytes)
  const withKeys = await usedBytes(client)
  await dropKeys(client)
  const waiting = await usedBytes(client)
  await gateway.close()
  const worker = await lab.startGateway(redis, { WORKERS_ENABLED: 'true', QUEUE_CONCURRENCY_EXTERNAL_API: '50' })
  const state = source === 'lark' ? 'failed' : 'completed'
  while ((await client.zcard(`${queue}:${state}`)) < jobs) await pause(pollMs)
  await worker.close()
  const finished = await usedBytes(client)
  client.disconnect()
  return { key: (withKeys - waiting) / jobs, waiting: (waiting - empty) / jobs, finished: (finished - empty) / jobs }
}

export const run = async () => {
  const lab = await openLab()
  try {
    const small = await measure(lab, 'other', 1)
    const large = await measure(lab, 'other', 1025)
    const failed = await measure(lab, 'lark', 1)
    const figure = (name, value) => ({ name, values: [value], digits: 0 })
    return [
      figure('idempotency key', small.key),
      figure('waiting job with 120 bytes of data', small.waiting),
      figure('completed job with 120 bytes of data', small.finished),
      figure('failed job with 120 bytes of data', failed.finished),
      figure('1,024 bytes more data, waiting', large.waiting - small.waiting),
      figure('1,024 bytes more data, completed', large.finished - small.finished),
    ]
  } finally {
    await lab.close()
  }
}
