// Pages through a tenant's jobs in an order that stays while jobs move.

import { maySee, type Principal } from '../auth/grants.js'
import { queueOfJobId } from '../bullmq/job-id.js'
import { idOfIndexMember, type JobIndex } from '../bullmq/job-index.js'
import type { QueuePlaces } from '../bullmq/queues.js'
import type { JobState, JobView } from '../types/job-schema.js'
import type { QueueName } from '../types/queue-name.js'
import { type Cursors, toCursorScope } from './cursor.js'
import type { JobSnapshot, ReadSnapshot } from './snapshot.js'

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

interface Deps {
  readonly index: JobIndex
  readonly queues: Pick<QueuePlaces, 'ofJob'>
  readonly readSnapshot: ReadSnapshot
  readonly cursors: Cursors
}

export const createJobList = ({ index, queues, readSnapshot, cursors }: Deps) => {
  /**
   * One page of what the caller may see, newest first.
   * Entries whose jobs are gone are forgotten on the way. Rejects with the error of Redis.
   */
  return async (
    caller: Principal,
    filters: JobFilters,
    { limit, cursor }: { limit: number; cursor?: string | undefined },
  ): Promise<JobPage> => {
    const { tenant } = caller
    const scope = toCursorScope('jobs', tenant, Object.entries(filters).sort())
    let after: string | undefined
    if (cursor !== undefined) {
      const position = await cursors.open(cursor, scope)
      if (position === null) return { kind: 'cursor-invalid' }
      after = position
    }
    const isOfQueue = (member: string) => filters.queue === undefined || queueOfJobId(idOfIndexMember(member)) === filters.queue
    const fitsAll = ({ view, kind }: JobSnapshot) => maySee(caller, kind) && fits(view, filters)
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
        for (const [at, job] of (await readMembers(tenant, some)).entries()) {
          if (!job || !fitsAll(job)) continue
          items.push(job.view)
          if (items.length < limit) continue
          const isLast = isEnd && start + at === wanted.length - 1
          return { kind: 'page', items, next: isLast ? null : await cursors.seal(some[at] as string, scope) }
        }
      }
      if (isEnd) return { kind: 'page', items, next: null }
      after = members.at(-1)
      scanned += count
      // What was looked at is mostly gone, hidden or different.
      atOnce = Math.max(chunk, limit)
    }
    return { kind: 'page', items, next: await cursors.seal(after as string, scope) }
  }

  /** null for jobs that are gone, whose entries are forgotten. What this process does not know may be known to others, or soon here too. */
  async function readMembers(tenant: string, members: readonly string[]): Promise<(JobSnapshot | null)[]> {
    const jobs = await Promise.all(members.map((member) => readSnapshot(idOfIndexMember(member))))
    await index.remove(
      tenant,
      members.filter((member, at) => jobs[at] === null && queues.ofJob(idOfIndexMember(member)) !== undefined),
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
