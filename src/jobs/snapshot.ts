// Reads one job as clients see it. Most reads of those who poll find what the last one found: that is made only once.

import { hash } from 'node:crypto'
import { LRUCache } from 'lru-cache'
import type { JobKind } from '../auth/grants.js'
import type { QueuePlaces } from '../bullmq/queues.js'
import { type ReadJob, toStoredJob } from '../bullmq/read-jobs.js'
import type { JobView } from '../types/job-schema.js'
import type { JobViews } from './view.js'

/** A job as it is in Redis at this moment. Several requests may hold the same one: nobody changes it. */
export interface JobSnapshot {
  readonly view: Readonly<JobView>
  readonly tenant: string
  /** What the grants of a reader are held against. */
  readonly kind: JobKind
  /** The view as JSON, and its weak ETag. */
  readonly document: () => JobDocument
}

interface JobDocument {
  readonly body: string
  readonly etag: string
}

/** As it was read, and what became of it. */
interface Remembered {
  readonly text: string
  readonly job: JobSnapshot
}

/** What is remembered takes some five bytes for each of these characters: at most 10 MB, or twice that in Chinese. */
const charactersMax = 2_000_000
/** A larger job is not remembered: it would drive out too many others. */
const jobCharactersMax = 32_768

/**
 * Reads one job; null when there is none, or the id cannot be one. Rejects with the error of Redis. With `tenant` the job of another
 * costs what one costs that is not there, but whether it is of that tenant is left to the caller.
 * Redis is asked every time. Only what follows from its answer, the view, its JSON and its ETag, is remembered beside that answer.
 */
export const createSnapshotReader = ({
  readJob,
  views,
  queues,
}: {
  readJob: ReadJob
  views: JobViews
  queues: Pick<QueuePlaces, 'ofJob'>
}) => {
  const remembered = new LRUCache<string, Remembered>({
    maxSize: charactersMax,
    maxEntrySize: jobCharactersMax,
    sizeCalculation: ({ text }) => text.length,
  })
  let { revision } = views
  return async (id: string, tenant?: string): Promise<JobSnapshot | null> => {
    const queue = queues.ofJob(id)
    const text = queue && (await readJob(queue, { id, tenant }))
    if (!text) return null
    if (revision !== views.revision) {
      // Which members are masked follows from the job types.
      remembered.clear()
      revision = views.revision
    }
    const before = remembered.get(id)
    if (before?.text === text) return before.job
    const job = toSnapshot(views.ofStored(toStoredJob(id, text)))
    remembered.set(id, { text, job })
    return job
  }
}

export type ReadSnapshot = ReturnType<typeof createSnapshotReader>

const toSnapshot = ({ view, tenant, kind }: Omit<JobSnapshot, 'document'>): JobSnapshot => {
  let known: JobDocument | undefined
  const document = () => {
    known ??= toDocument(view)
    return known
  }
  return { view, tenant, kind, document }
}

const toDocument = (view: JobView): JobDocument => {
  const body = JSON.stringify(view)
  return { body, etag: `W/"${hash('sha1', body, 'base64url')}"` }
}
