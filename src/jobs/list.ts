// Pages through a tenant's jobs in an order that stays while jobs move.

import { createHmac, hash, randomBytes, timingSafeEqual } from 'node:crypto'
import { queueOfJobId } from '../bullmq/job-id.js'
import { idOfIndexMember, type JobIndex } from '../bullmq/job-index.js'
import type { RedisClient } from '../redis/connect.js'
import type { Keys } from '../redis/redis-keys.js'
import type { JobState, JobView, QueueName } from '../types/job-schema.js'
import type { ReadSnapshot } from './snapshot.js'

/** What a page may be narrowed to. All given members have to fit. */
export interface JobFilters {
  readonly state?: JobState
  readonly type?: string
  readonly queue?: QueueName
  readonly correlationId?: string
  readonly userId?: string
}

export type JobPage =
  /** `next` is null on the last page. A page may be short, or empty, and still have a next one. */
  { readonly kind: 'page'; readonly items: JobView[]; readonly next: string | null } | { readonly kind: 'cursor-invalid' }

/** Index entries read at once, and at most for one page: a rare filter costs several short pages, not one endless request. */
const chunk = 200
const scannedMax = 2000
const cursorVersion = '1'
const macBytes = 12

export const createJobList = ({
  index,
  readSnapshot,
  redis,
  keys,
}: {
  index: JobIndex
  readSnapshot: ReadSnapshot
  redis: RedisClient
  keys: Keys
}) => {
  let secret: Promise<string> | undefined
  /** Shared by all instances, so that a cursor of one is valid at another. */
  const cursorSecret = (): Promise<string> => {
    secret ??= readSecret().catch((error: unknown) => {
      secret = undefined
      throw error
    })
    return secret
  }
  const readSecret = async (): Promise<string> => {
    await redis.set(keys.cursorSecret, randomBytes(32).toString('base64url'), 'NX')
    return (await redis.get(keys.cursorSecret)) as string
  }

  const sign = async (text: string): Promise<Buffer> =>
    createHmac('sha256', await cursorSecret())
      .update(text)
      .digest()
      .subarray(0, macBytes)

  /** base64url of version, position and a hash of whose list it is and how it is filtered, with an HMAC. */
  const toCursor = async (position: string, scope: string): Promise<string> => {
    const text = `${cursorVersion}.${position}.${scope}`
    return Buffer.concat([await sign(text), Buffer.from(text)]).toString('base64url')
  }

  const readCursor = async (cursor: string, scope: string): Promise<string | null> => {
    const bytes = Buffer.from(cursor, 'base64url')
    const text = bytes.subarray(macBytes).toString()
    const [version, position, cursorScope] = text.split('.')
    // base64url may be written in more than one way; ours is the only one that counts.
    if (
      bytes.toString('base64url') !== cursor ||
      bytes.length <= macBytes ||
      version !== cursorVersion ||
      cursorScope !== scope ||
      !position
    )
      return null
    return timingSafeEqual(bytes.subarray(0, macBytes), await sign(text)) ? position : null
  }

  /**
   * One page, newest first. `isVisible` hides what the caller may not see.
   * Entries whose jobs are gone are forgotten on the way. Rejects with the error of Redis.
   */
  return async (
    tenant: string,
    filters: JobFilters,
    { limit, cursor }: { limit: number; cursor?: string | undefined },
    isVisible: (job: { type: string; queue: string }) => boolean,
  ): Promise<JobPage> => {
    const scope = hash('sha256', JSON.stringify([tenant, Object.entries(filters).sort()]), 'base64url').slice(0, 16)
    let after: string | undefined
    if (cursor !== undefined) {
      const position = await readCursor(cursor, scope)
      if (position === null) return { kind: 'cursor-invalid' }
      after = position
    }
    const isOfQueue = (member: string) => filters.queue === undefined || queueOfJobId(idOfIndexMember(member)) === filters.queue
    const fitsAll = (view: JobView) => isVisible(view) && fits(view, filters)
    // Without a filter nearly every job goes on the page; one more tells whether it is the last.
    let atOnce = Object.values(filters).every((value) => value === undefined) ? limit + 1 : Math.max(chunk, limit)
    const items: JobView[] = []
    for (let scanned = 0; scanned < scannedMax; ) {
      // An id tells its queue: entries of others cost next to nothing.
      const count = filters.queue === undefined ? atOnce : scannedMax
      const members = await index.page(tenant, after, count)
      const isEnd = members.length < count
      const wanted = members.filter(isOfQueue)
      for (let start = 0; start < wanted.length; start += atOnce) {
        const some = wanted.slice(start, start + atOnce)
        for (const [at, view] of (await readMembers(tenant, some)).entries()) {
          if (!view || !fitsAll(view)) continue
          items.push(view)
          if (items.length < limit) continue
          const isLast = isEnd && start + at === wanted.length - 1
          return { kind: 'page', items, next: isLast ? null : await toCursor(some[at] as string, scope) }
        }
      }
      if (isEnd) return { kind: 'page', items, next: null }
      after = members.at(-1)
      scanned += count
      // What was looked at is mostly gone, hidden or different.
      atOnce = Math.max(chunk, limit)
    }
    return { kind: 'page', items, next: await toCursor(after as string, scope) }
  }

  /** null for jobs that are gone, whose entries are forgotten. */
  async function readMembers(tenant: string, members: readonly string[]): Promise<(JobView | null)[]> {
    const jobs = await Promise.all(members.map(async (member) => (await readSnapshot(idOfIndexMember(member)))?.view ?? null))
    await index.remove(
      tenant,
      members.filter((_member, at) => jobs[at] === null),
    )
    return jobs
  }
}

export type JobList = ReturnType<typeof createJobList>

const fits = (job: JobView, { state, type, queue, correlationId, userId }: JobFilters): boolean =>
  (state === undefined || job.state === state) &&
  (type === undefined || job.type === type) &&
  (queue === undefined || job.queue === queue) &&
  (correlationId === undefined || job.correlationId === correlationId) &&
  (userId === undefined || job.userId === userId)
