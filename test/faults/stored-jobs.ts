// Reads what Redis holds of every job, without the gateway's help.

import { Cluster, type Redis } from 'ioredis'
import { until } from '../helpers/until.js'
import type { StoredJob } from './checker.js'

/** The queues of the probes, and how the ids of their jobs begin. */
const queues = { 'external-api': 'ext_', meeting: 'meet_' } as const
const drainDeadlineMs = 90_000

/** Where a job may be, and what that is called. */
const sets = { prioritized: 'waiting', delayed: 'delayed', completed: 'completed', failed: 'failed' } as const
const lists = { wait: 'waiting', paused: 'waiting', active: 'active' } as const

/** Resolves when no job waits, runs or is delayed. */
export const untilDrained = (client: Redis | Cluster): Promise<number> =>
  until(
    'every job is finished',
    async () => {
      const sizes = Object.keys(queues).flatMap((queue) => [
        ...['prioritized', 'delayed', 'waiting-children'].map((name) => client.zcard(toBase(queue) + name)),
        ...Object.keys(lists).map((name) => client.llen(toBase(queue) + name)),
      ])
      return (await Promise.all(sizes)).every((size) => size === 0)
    },
    drainDeadlineMs,
  )

/** Every job of the probes' queues, found by its own key: also one that no list or set knows. */
export const readStoredJobs = async (client: Redis | Cluster): Promise<StoredJob[]> => {
  const found = Object.entries(queues).map(([queue, idStart]) => readQueue(client, toBase(queue), idStart))
  return (await Promise.all(found)).flat()
}

const readQueue = async (client: Redis | Cluster, base: string, idStart: string): Promise<StoredJob[]> => {
  const states = new Map<string, StoredJob['state']>()
  for (const [name, state] of Object.entries(sets)) for (const id of await client.zrange(base + name, '0', '-1')) states.set(id, state)
  for (const [name, state] of Object.entries(lists)) for (const id of await client.lrange(base + name, 0, -1)) states.set(id, state)
  const ids = new Set<string>()
  for (const node of client instanceof Cluster ? client.nodes('master') : [client]) {
    let cursor = '0'
    do {
      const [next, keys] = await node.scan(cursor, 'MATCH', `${base}${idStart}*`, 'COUNT', '1000')
      cursor = next
      for (const key of keys) if (!key.slice(base.length).includes(':')) ids.add(key.slice(base.length))
    } while (cursor !== '0')
  }
  return Promise.all(
    [...ids].map(async (id) => {
      const [data, made, reason] = await client.hmget(base + id, 'data', 'atm', 'failedReason')
      const { data: payload } = JSON.parse(data ?? '{}') as { data?: { label?: string } }
      const state = states.get(id) ?? 'limbo'
      return { id, label: payload?.label ?? '', state, attemptsMade: Number(made ?? 0), ...(reason ? { reason } : {}) }
    }),
  )
}

const toBase = (queue: string) => `{jobgate}:${queue}:`
