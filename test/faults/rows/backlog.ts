// Row 18: a million jobs wait in one queue, operators clear it, and clients of another queue notice nothing.

import { Readable } from 'node:stream'
import { setTimeout as pause } from 'node:timers/promises'
import { Pool } from 'undici'
import { percentile } from '../../helpers/percentile.js'
import { adminKey } from '../../helpers/start-probe-process.js'
import { until } from '../../helpers/until.js'
import { openRedisServer } from '../redis-server.js'
import type { Row, World } from '../world.js'

const backlogDefault = 1_000_000
const streams = 2
const fillDeadlineMs = 600_000
const clearDeadlineMs = 600_000
const quietMs = 20_000
const submitP99Ms = 500
/** What reads may take longer than those of a gateway on an empty Redis, which are taken in turn with them. */
const readMarginMs = 50

const headers = { authorization: `Bearer ${adminKey}` }
const reads = ['/admin/queues/health', '/admin/queues/metrics', '/metrics', '/v1/jobs?limit=20', '/v1/jobs?limit=20&queue=external-api']

export const backlogRow: Row = {
  id: '18',
  fault: 'a million jobs wait, and operators clear them',
  alone: true,
  async run(world) {
    const size = world.backlog ?? backlogDefault
    const redis = await openRedisServer(world.scope)
    const { url } = await world.gateway({ REDIS_URL: redis.url, QUEUE_MAX_DEPTH: String(2 * size) })
    await world.worker({ REDIS_URL: redis.url, QUEUE_CONCURRENCY_EMAIL: '1' })
    const pool = new Pool(url, { connections: 16 })
    world.scope.after(() => pool.destroy())
    const control = await openRedisServer(world.scope)
    const { url: emptyUrl } = await world.gateway({ REDIS_URL: control.url })
    const emptyPool = new Pool(emptyUrl, { connections: 16 })
    world.scope.after(() => emptyPool.destroy())
    const probe = createProbe(world, { url, pool, emptyPool })

    const filledMs = await fill(pool, size)
    const memory = /used_memory_human:(\S+)/.exec(await redis.client.info('memory'))?.[1]
    world.note(`${size} jobs in ${Math.round(filledMs / 1000)} s over HTTP, ${memory} in Redis`)
    // What is measured next is what waits, not what came.
    await until('Redis has written its file', async () => (await redis.client.info('persistence')).includes('aof_rewrite_in_progress:0'))
    await probe.during(`while ${size} jobs wait`, [() => pause(quietMs)])

    const drainHalf = async () => {
      const drain = await begin(pool, '/admin/queues/email/drain')
      await until('half is drained', async () => (await progressOf(pool, drain)) >= size / 2, clearDeadlineMs)
      await (await pool.request({ method: 'DELETE', path: `/admin/operations/${drain}`, headers })).body.dump()
      await untilEnded(pool, drain)
    }
    const obliterate = async () => untilEnded(pool, await begin(pool, '/admin/queues/email/obliterate?force=true'))
    await probe.during('while operators drain, clean and obliterate', [drainHalf, () => clean(pool), obliterate])

    const left = await redis.client.zcard('{jobgate}:email:prioritized')
    world.check(`${left} jobs are left`, left === 0)
    await world.conclude(redis.client)
  },
}

interface Probed {
  readonly url: string
  readonly pool: Pool
  /** Leads to a gateway on an empty Redis. */
  readonly emptyPool: Pool
}

/** Sends jobs of another queue and reads what operators read, and judges how long that took. */
const createProbe = (world: World, { url, pool, emptyPool }: Probed) => {
  let sent = 0
  const read = async (from: Pool, path: string): Promise<number> => {
    const start = performance.now()
    const answer = await from.request({ method: 'GET', path, headers })
    await answer.body.dump()
    world.check(`${path} answered ${answer.statusCode}`, answer.statusCode === 200)
    return performance.now() - start
  }
  const toP99 = (times: readonly number[]) => Math.round(percentile(times, 0.99))

  return {
    /** `name` says when: as long as the actions take, one after the other. */
    async during(name: string, actions: readonly (() => Promise<unknown>)[]) {
      let ended = false
      const submits: number[] = []
      const times = reads.map(() => ({ full: [] as number[], empty: [] as number[] }))
      const repeat = async (once: () => Promise<unknown>) => {
        while (!ended) {
          await once()
          await pause(20)
        }
      }
      const submit = async () => {
        const { start, end, status } = await world.history.submit(url, { key: `probe${sent++}` })
        world.check(`a submission was answered with ${status}`, status === 202)
        submits.push(end - start)
      }
      const readAll = async () => {
        for (const [at, path] of reads.entries()) {
          times[at]?.full.push(await read(pool, path))
          times[at]?.empty.push(await read(emptyPool, path))
        }
      }
      const probing = Promise.all([repeat(submit), repeat(submit), repeat(readAll)])
      const took: number[] = []
      try {
        for (const action of actions) {
          const start = Date.now()
          await action()
          took.push(Math.round((Date.now() - start) / 1000))
        }
      } finally {
        ended = true
      }
      await probing

      const submitP99 = toP99(submits)
      world.check(`${name} a submission took ${submitP99} ms`, submitP99 <= submitP99Ms)
      const figures = times.map(({ full, empty }, at) => {
        const [full99, empty99] = [toP99(full), toP99(empty)]
        world.check(`${name} ${reads[at]} took ${full99} ms, beside an empty queue ${empty99} ms`, full99 - empty99 <= readMarginMs)
        return `${reads[at]} ${full99} (${empty99})`
      })
      world.note(
        `${name} (${took.join(' + ')} s): ${submits.length} submissions to another queue, p99 ${submitP99} ms; ` +
          `${times[0]?.full.length} rounds of reads, p99 in ms (beside an empty queue): ${figures.join(', ')}`,
      )
    },
  }
}

/** Submits the backlog as NDJSON. Resolves with the milliseconds it took. */
const fill = async (pool: Pool, size: number): Promise<number> => {
  const start = Date.now()
  const each = size / streams
  await Promise.all(
    Array.from({ length: streams }, async (_, stream) => {
      const answer = await pool.request({
        method: 'POST',
        path: '/v1/jobs/batch',
        headers: { ...headers, 'content-type': 'application/x-ndjson' },
        body: Readable.from(toLines(stream * each, (stream + 1) * each)),
        headersTimeout: fillDeadlineMs,
        bodyTimeout: fillDeadlineMs,
      })
      let accepted = 0
      let rest = ''
      for await (const chunk of answer.body) {
        const lines = (rest + String(chunk)).split('\n')
        rest = lines.pop() as string
        for (const line of lines) if (line.includes('"status":202')) accepted++
      }
      if (accepted !== each) throw new Error(`${accepted} of ${each} jobs of the backlog were accepted`)
    }),
  )
  return Date.now() - start
}

function* toLines(from: number, to: number): Generator<string> {
  const chunk = 500
  for (let at = from; at < to; at += chunk) {
    const lines = Array.from({ length: Math.min(chunk, to - at) }, (_, index) => `{"type":"bulk","data":{"label":"b${at + index}"}}\n`)
    yield lines.join('')
  }
}

const begin = async (pool: Pool, path: string): Promise<string> => {
  const answer = await pool.request({ method: 'POST', path, headers })
  const { id } = (await answer.body.json()) as { id?: string }
  if (id === undefined) throw new Error(`${path} answered ${answer.statusCode}`)
  return id
}

const read = async (pool: Pool, id: string) => {
  const answer = await pool.request({ method: 'GET', path: `/admin/operations/${id}`, headers })
  return (await answer.body.json()) as { state: string; affected: number }
}

const progressOf = async (pool: Pool, id: string): Promise<number> => (await read(pool, id)).affected

const untilEnded = (pool: Pool, id: string) =>
  until(`operation ${id} has ended`, async () => (await read(pool, id)).state !== 'running', clearDeadlineMs)

/** Removes finished jobs as long as there are any, at most as many at once as are allowed. */
const clean = async (pool: Pool): Promise<void> => {
  const body = JSON.stringify({ completedMaxAge: 0, failedMaxAge: 0, limit: 10_000 })
  for (let round = 0; round < 10; round++) {
    const answer = await pool.request({
      method: 'POST',
      path: '/admin/queues/clean',
      headers: { ...headers, 'content-type': 'application/json' },
      body,
    })
    const { email } = (await answer.body.json()) as { email?: { completed: number } }
    if (!email) throw new Error(`clean answered ${answer.statusCode}`)
  }
}
