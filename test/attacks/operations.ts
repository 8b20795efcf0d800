// Every operation of the API document: who may call it, and a request of good form for an object of the caller's choice.

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { root } from '../helpers/source-files.js'
import type { Wanted } from './client.js'
import { plainJob } from './submit.js'

export type Need = 'none' | 'submit' | 'read' | 'manage' | 'work' | 'types' | 'admin'

/** What a path is about. */
export interface Objects {
  readonly job: string
  readonly schedule: string
}

interface Operation {
  readonly need: Need
  readonly body?: object
  /** For acts that would disturb everything else: no key that may do them tries. */
  readonly spares?: true
  /** What it is about is named in the path, and may be somebody else's. */
  readonly about?: 'job' | 'schedule'
}

const schedule = { ...plainJob('walk'), cron: '0 0 1 1 *' }
const admin = { need: 'admin', spares: true } as const
const look = { need: 'admin' } as const

/** By operationId. */
const operations: Readonly<Record<string, Operation>> = {
  checkTencentMeetingCallback: { need: 'none' },
  receiveTencentMeetingEvent: { need: 'none', body: { data: 'x' } },
  receiveLarkEvent: { need: 'none', body: { encrypt: 'x' } },
  openBoard: look,
  submitJob: { need: 'submit', body: plainJob('walk') },
  listJobs: { need: 'read' },
  submitJobs: { need: 'submit', body: { items: [plainJob('walk')] } },
  getJob: { need: 'read', about: 'job' },
  cancelJob: { need: 'manage', about: 'job' },
  getJobLogs: { need: 'read', about: 'job' },
  getJobChildren: { need: 'read', about: 'job' },
  retryJob: { need: 'manage', about: 'job' },
  promoteJob: { need: 'manage', about: 'job' },
  followJob: { need: 'read', about: 'job' },
  leaseJobs: { need: 'work', body: { worker: 'walk', types: ['process-webhook'] } },
  heartbeatLeases: { need: 'work', body: { worker: 'walk', leases: [] } },
  settleLeases: { need: 'work', body: { items: [{ lease: 'absent', outcome: 'released' }] } },
  heartbeatLease: { need: 'work', body: {} },
  completeLease: { need: 'work', body: {} },
  failLease: { need: 'work', body: { error: { code: 'walk', message: 'Walk.', retryable: false } } },
  releaseLease: { need: 'work', body: {} },
  listWorkers: { need: 'work' },
  drainWorker: { need: 'admin' },
  listJobTypes: { need: 'read' },
  getJobType: { need: 'read' },
  // Of a built-in type, which nobody can change.
  registerJobType: { need: 'types', body: {} },
  deleteJobType: { need: 'types', spares: true },
  listJobTypeVersions: { need: 'read' },
  getJobTypeVersion: { need: 'read' },
  putSchedule: { need: 'submit', body: schedule },
  getSchedule: { need: 'read', about: 'schedule' },
  deleteSchedule: { need: 'manage', about: 'schedule' },
  listSchedules: { need: 'read' },
  triggerSchedule: { need: 'submit', about: 'schedule' },
  listQueues: look,
  getQueuesHealth: look,
  getQueuesMetrics: look,
  getQueueHealth: look,
  getQueueMetrics: look,
  pauseQueues: admin,
  pauseQueue: admin,
  resumeQueues: admin,
  resumeQueue: admin,
  cleanQueues: { ...admin, body: {} },
  listAudit: look,
  inspectJob: look,
  drainQueue: admin,
  retryFailedJobs: admin,
  promoteDelayedJobs: admin,
  obliterateQueue: admin,
  listOperations: look,
  getOperation: look,
  cancelOperation: admin,
  listDeadLetters: look,
  redriveDeadLetters: { ...admin, body: {} },
  purgeDeadLetters: { ...admin, body: {} },
  listApiKeys: look,
  issueApiKey: { ...admin, body: { name: 'walk', scopes: ['admin'] } },
  revokeApiKey: admin,
  rotateApiKey: { ...admin, body: { overlapMs: 0 } },
  listEmailTemplates: look,
  previewEmailTemplate: look,
}

export interface DocumentedOperation extends Operation {
  readonly id: string
  readonly wanted: (objects: Objects) => Wanted
}

interface Document {
  readonly paths: Readonly<Record<string, Readonly<Record<string, { readonly operationId?: string }>>>>
}

const parameters = ({ job, schedule }: Objects): Readonly<Record<string, string>> => ({
  queue: 'external-api',
  type: 'process-webhook',
  name: 'verification',
  lease: 'absent',
  worker: 'absent',
  version: '1',
  job,
  schedule,
})

/** `{id}` is that of a job, of a schedule, or of something that is not there. */
const fill = (path: string, objects: Objects): string => {
  const idOf = path.startsWith('/v1/schedules') ? 'schedule' : path.includes('/jobs/') ? 'job' : null
  return path.replace(
    /\{(\w+)\}/g,
    (_, name: string) => (name === 'id' ? (idOf ? parameters(objects)[idOf] : 'absent0000000000') : parameters(objects)[name]) as string,
  )
}

/** All of the document, in its order. Throws when it names one that nobody has decided about. */
export const readOperations = (): DocumentedOperation[] => {
  const document = JSON.parse(readFileSync(join(root, 'openapi/openapi.json'), 'utf8')) as Document
  const found = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).flatMap(([method, { operationId }]) => (operationId === undefined ? [] : [{ path, method, id: operationId }])),
  )
  const undecided = found.filter(({ id }) => !Object.hasOwn(operations, id)).map(({ id }) => id)
  const gone = Object.keys(operations).filter((id) => !found.some((each) => each.id === id))
  if (undecided.length + gone.length > 0)
    throw new Error(`test/attacks/operations.ts: add ${undecided.join(', ')}; remove ${gone.join(', ')}`)
  return found.map(({ path, method, id }) => {
    const operation = operations[id] as Operation
    const wanted = (objects: Objects): Wanted => ({
      method: method.toUpperCase() as NonNullable<Wanted['method']>,
      path: fill(path, objects),
      ...(operation.body ? { body: operation.body } : {}),
      ...(id === 'followJob' ? { headers: { accept: 'text/event-stream' } } : {}),
    })
    return { ...operation, id, wanted }
  })
}
