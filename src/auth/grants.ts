// Who calls and what they may do: scopes, and the job types and queues a key is limited to.

import type { Static } from '@sinclair/typebox'
import { StringEnum } from '../types/schema-parts.js'

export const scopes = ['jobs:submit', 'jobs:read', 'jobs:manage', 'admin', 'work'] as const

/** What kind of act a key allows. `admin` implies all others; `work` is kept for remote workers. */
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

/** Whether the key may submit or see jobs of this type in this queue. What it may not see answers as if it did not exist. */
export const maySee = (principal: Principal, { type, queue }: { type: string; queue: string }): boolean =>
  (principal.types === null || principal.types.has(type)) && (principal.queues === null || principal.queues.has(queue))
