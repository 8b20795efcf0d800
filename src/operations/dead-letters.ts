// Jobs that failed permanently: lists them, newest first, and tells which of them a filter means.

import { hash } from 'node:crypto'
import { advance, type BulkJobs, type BulkPosition, type ScannedJob } from '../bullmq/bulk-jobs.js'
import { isCancelled } from '../bullmq/cancelled.js'
import { decodeJobError } from '../bullmq/stored-job-error.js'
import type { JobError } from '../types/job-schema.js'
import type { QueueName } from '../types/queue-name.js'

/** All given members have to fit. Times are milliseconds since 1970 and mean when the job failed, both inclusive. */
export interface DeadLetterFilter {
  readonly type?: string | undefined
  readonly code?: string | undefined
  readonly since?: number | undefined
  readonly until?: number | undefined
}

/** Times are milliseconds since 1970. */
export interface DeadLetter {
  readonly id: string
  readonly type: string
  readonly error: JobError
  readonly attempts: { readonly made: number; readonly max: number }
  /** How often an operator sent it back before. */
  readonly sentBack: number
  readonly createdAt: number
  readonly failedAt: number
}

export type DeadLetterPage =
  /** A page may be short, or empty, and still have a next one. */
  { readonly kind: 'page'; readonly items: DeadLetter[]; readonly next: string | null } | { readonly kind: 'cursor-invalid' }

/** Entries read at once, and looked at for one page at most: a rare filter costs several short pages. */
const chunk = 250
const scannedMax = 5000

/** Whether a job of the failed set is a dead letter that the filter means. What a client cancelled is none. */
export const isDeadLetter = (job: ScannedJob, { type, code, since, until }: DeadLetterFilter = {}): boolean => {
  const error = errorOf(job)
  if (isCancelled(error)) return false
  const failedAt = failedAtOf(job)
  return (
    (type === undefined || job.type === type) &&
    (code === undefined || error.code === code) &&
    (since === undefined || failedAt >= since) &&
    (until === undefined || failedAt <= until)
  )
}

export const createDeadLetterList = (bulk: Pick<BulkJobs, 'walkBack'>) => {
  /** One page. Rejects with the error of Redis. */
  return async (
    queue: QueueName,
    filter: DeadLetterFilter,
    { limit, cursor }: { limit: number; cursor?: string | undefined },
  ): Promise<DeadLetterPage> => {
    const scope = hash('sha256', JSON.stringify([queue, Object.entries(filter).sort()]), 'base64url').slice(0, 16)
    const after = cursor === undefined ? null : readCursor(cursor, scope)
    if (cursor !== undefined && after === null) return { kind: 'cursor-invalid' }
    let position: BulkPosition = { score: after?.score ?? (filter.until === undefined ? '' : String(filter.until)), skip: 0 }
    const items: DeadLetter[] = []
    let last: ScannedJob | undefined
    for (let scanned = 0; scanned < scannedMax; ) {
      const rows = await bulk.walkBack(queue, 'failed', position, filter.since ?? '-inf', chunk)
      scanned += rows.length
      for (const [at, row] of rows.entries()) {
        // Jobs that failed in the same millisecond are in the order of their ids.
        if (after && row.score === after.score && row.id >= after.id) continue
        last = row
        if (!isDeadLetter(row, filter)) continue
        items.push(toDeadLetter(row))
        if (items.length === limit) {
          const isEnd = at === rows.length - 1 && rows.length < chunk
          return { kind: 'page', items, next: isEnd ? null : toCursor(row, scope) }
        }
      }
      if (rows.length < chunk) return { kind: 'page', items, next: null }
      position = advance(position, rows, new Set())
    }
    return { kind: 'page', items, next: last ? toCursor(last, scope) : null }
  }
}

export type ListDeadLetters = ReturnType<typeof createDeadLetterList>

const errorOf = ({ failedReason }: ScannedJob): JobError => decodeJobError(failedReason ?? '')
const failedAtOf = ({ finishedAt, score }: ScannedJob): number => finishedAt ?? Number(score)

const toDeadLetter = (job: ScannedJob): DeadLetter => ({
  id: job.id,
  type: job.type,
  error: errorOf(job),
  attempts: { made: job.attemptsMade, max: (JSON.parse(job.options) as { attempts?: number }).attempts ?? 1 },
  sentBack: job.sentBack,
  createdAt: job.createdAt,
  failedAt: failedAtOf(job),
})

/** Bound to queue and filter; not signed, since whoever may list may list everything. */
const toCursor = ({ score, id }: ScannedJob, scope: string): string => Buffer.from(`1 ${scope} ${score} ${id}`).toString('base64url')

const readCursor = (cursor: string, scope: string): { score: string; id: string } | null => {
  const match = /^1 (\S{16}) (\d{1,16}) (\S{1,200})$/.exec(Buffer.from(cursor, 'base64url').toString())
  return match && match[1] === scope ? { score: match[2] as string, id: match[3] as string } : null
}
