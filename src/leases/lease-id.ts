// Lease ids: each names one attempt of one job, and is what the job is locked with, seen through the tenant that it was given to.

import { hash, randomFillSync } from 'node:crypto'
import { queueOfJobId } from '../bullmq/job-id.js'
import { type Hold, tokenChars } from '../bullmq/registered/leased-jobs.js'

/** What a lease is made of before its job is known: what the job is locked with, and what stands in the id instead. */
export interface LeaseSlot {
  readonly token: string
  readonly secret: string
}

/** 16 random bytes in base64url. */
const randomChars = 22
/** By these a lease of another tenant, or a made-up one, is told from one that is over. */
const tagChars = 8
export const leaseIdCharsMax = 112 + 1 + randomChars + tagChars

const pattern = /^([a-z0-9-]{2,63}_[A-Za-z0-9_-]{20,48})\.([A-Za-z0-9_-]{22})([A-Za-z0-9_-]{8})$/

const bytes = 16
const pool = Buffer.allocUnsafe(bytes * 256)
let used = pool.length

const drawRandom = (): string => {
  if (used === pool.length) {
    randomFillSync(pool)
    used = 0
  }
  used += bytes
  return pool.toString('base64url', used - bytes, used)
}

/** Neither what is stored nor what another tenant makes of an id that leaked leads to the lock. */
const derive = (tenant: string, random: string) => {
  const digest = hash('sha256', JSON.stringify([tenant, random]), 'base64url')
  return { token: digest.slice(0, tokenChars), tag: digest.slice(tokenChars, tokenChars + tagChars) }
}

export const mintLeaseSlot = (tenant: string): LeaseSlot => {
  const random = drawRandom()
  const { token, tag } = derive(tenant, random)
  return { token, secret: random + tag }
}

export const toLeaseId = (jobId: string, { secret }: Pick<LeaseSlot, 'secret'>): string => `${jobId}.${secret}`

/** What a lease holds; null for a text that is no lease of this tenant. */
export const parseLeaseId = (tenant: string, lease: string): Hold | null => {
  const match = lease.length > leaseIdCharsMax ? null : pattern.exec(lease)
  if (!match) return null
  const [, id, random, tag] = match as unknown as [string, string, string, string]
  const derived = derive(tenant, random)
  return derived.tag === tag && queueOfJobId(id) !== undefined ? { id, token: derived.token } : null
}
