// Remembers who changed what as an operator: a capped stream that all instances share, and a log line.

import type { Logger } from 'pino'
import type { RedisClient } from '../redis/connect.js'
import type { Keys } from '../redis/redis-keys.js'

export const auditActs = [
  'queue.paused',
  'queue.resumed',
  'queue.cleaned',
  'operation.requested',
  'operation.cancel-requested',
  'operation.finished',
  'job.retried',
  'job.promoted',
  'worker.drained',
  'api-key.issued',
  'api-key.rotated',
  'api-key.revoked',
  'job-type.registered',
  'job-type.removed',
] as const
export type AuditAct = (typeof auditActs)[number]

/** One act of an operator. */
export interface AuditEntry {
  /** Id of the entry in its stream; grows with time. */
  readonly id: string
  /** Milliseconds since 1970. */
  readonly at: number
  /** Id of the API key that asked for it, or `commandLine`. */
  readonly by: string
  readonly act: AuditAct
  /** null for acts on all queues, and on none. */
  readonly queue: string | null
  /** What was asked for, and how many jobs it changed. */
  readonly details: Readonly<Record<string, unknown>>
}

/** About this many entries are kept. */
export const auditKept = 10_000

/** Who has access to Redis needs no key. */
export const commandLine = 'command-line'

export const createAudit = ({ redis, keys, log }: { redis: RedisClient; keys: Keys; log: Logger }) => ({
  /** Notes one act. Rejects with the error of Redis; the log line is written in any case. */
  async note(entry: Omit<AuditEntry, 'id' | 'at'>): Promise<void> {
    const { by, act, queue, details } = entry
    log.info({ by, act, queue, details }, 'operator action')
    await redis.xadd(keys.audit, 'MAXLEN', '~', auditKept, '*', ...toAuditFields(entry))
  },

  /** Entries before the id `before` (absent: from the newest), newest first, at most `limit`. `next` is null at the end. */
  async list({ before, limit }: { before?: string | undefined; limit: number }): Promise<{ items: AuditEntry[]; next: string | null }> {
    const found = await redis.xrevrange(keys.audit, before === undefined ? '+' : `(${before}`, '-', 'COUNT', limit + 1)
    const items = found.slice(0, limit).map(([id, fields]) => toEntry(id, fields))
    return { items, next: found.length > limit ? (items.at(-1)?.id ?? null) : null }
  },
})

export type Audit = ReturnType<typeof createAudit>

/** The members of an entry as Redis keeps them; for scripts that note an act in the same step as they carry it out. */
export const toAuditFields = ({ by, act, queue, details }: Omit<AuditEntry, 'id' | 'at'>): string[] => [
  'by',
  by,
  'act',
  act,
  'queue',
  queue ?? '',
  'details',
  JSON.stringify(details),
]

/** For the scripts that change API keys: notes who did it, and what of the key is no secret. */
export const noteApiKey =
  (by: string, act: Extract<AuditAct, `api-key.${string}`>, details: Readonly<Record<string, unknown>> = {}) =>
  (keyId: string): string[] => [
    'MAXLEN',
    '~',
    String(auditKept),
    '*',
    ...toAuditFields({ by, act, queue: null, details: { keyId, ...details } }),
  ]

const toEntry = (id: string, fields: readonly string[]): AuditEntry => {
  const named = new Map<string, string>()
  for (let at = 0; at < fields.length; at += 2) named.set(fields[at] as string, fields[at + 1] as string)
  return {
    id,
    at: Number(id.split('-')[0]),
    by: named.get('by') ?? '',
    act: named.get('act') as AuditAct,
    queue: named.get('queue') || null,
    details: JSON.parse(named.get('details') ?? '{}') as Record<string, unknown>,
  }
}
