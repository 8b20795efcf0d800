// Who calls and what they may do: scopes, and the job types and queues a key is limited to.

import type { Static } from '@sinclair/typebox'
import { StringEnum } from '../types/schema-parts.js'

export const scopes = ['jobs:submit', 'jobs:read', 'jobs:manage', 'admin', 'work', 'types:manage'] as const

/** What kind of act a key allows. `admin` implies all others; `work` leases jobs of all tenants. */
export const Scope = StringEnum(scopes, { description: 'What a key allows; `admin` implies all others.' })
export type Scope = Static<typeof Scope>

/** Who calls. `null` stands for no limit: every type, every queue, the general rate limit. */
export interface Principal {
  readonly keyId: string
  readonly name: string
  readonly tenant: string
  readonly scopes: ReadonlySet<Scope>
  readonly types: ReadonlySet<string> | null
  readonly queues: ReadonlySet<string> | null
  /** Requests per window, in place of RATE_LIMIT_MAX. */
  readonly rateLimitMax: number | null
}

/** What a key turned out to be. `refused` covers unknown, revoked and forged keys alike. */
export type Verification =
  | { readonly kind: 'valid'; readonly principal: Principal }
  | { readonly kind: 'expired' }
  | { readonly kind: 'refused' }
  /** Redis has to be asked and does not answer. */
  | { readonly kind: 'unavailable' }

/** Whether the key allows this kind of act. */
export const hasScope = (principal: Principal, scope: Scope): boolean => principal.scopes.has(scope) || principal.scopes.has('admin')

/** Whether the key is limited to some types or queues. Operators' routes show and change all of them, so such a key may not use them. */
export const isLimited = ({ types, queues }: Pick<Principal, 'types' | 'queues'>): boolean => types !== null || queues !== null

/**
 * What grants are held against: the type and queue of a job, and those of the jobs that are to follow it. `queue` is undefined
 * for a type that is not registered.
 */
export interface JobKind {
  readonly type: string
  readonly queue: string | undefined
  readonly followUps: readonly JobKind[]
}

/** The first type within a job, or a schedule of it, for which the key has no grant; null when it may see all of it. */
export const findUngranted = (principal: Principal, { type, queue, followUps }: JobKind): string | null => {
  const isGranted =
    (principal.types === null || principal.types.has(type)) &&
    (principal.queues === null || (queue !== undefined && principal.queues.has(queue)))
  if (!isGranted) return type
  for (const each of followUps) {
    const ungranted = findUngranted(principal, each)
    if (ungranted !== null) return ungranted
  }
  return null
}

/**
 * Whether the key may see, submit or change jobs of this kind. A job with a follow-up of a type that is not granted is hidden as a
 * whole, since to promote, retry, cancel or replace it decides about the follow-up too.
 * What a key may not see answers as if it did not exist.
 */
export const maySee = (principal: Principal, kind: JobKind): boolean => findUngranted(principal, kind) === null
