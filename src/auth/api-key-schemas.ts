// What operators send and see of API keys, over HTTP and on the command line.

import { type Static, Type } from '@sinclair/typebox'
import type { FieldProblem } from '../types/field-problems.js'
import { QueueNameText } from '../types/queue-name.js'
import { closed, Line, Nullable, Time } from '../types/schema-parts.js'
import { Scope, scopes } from './grants.js'

export const KeyId = Type.String({
  pattern: '^[0-9A-Za-z]{1,32}$',
  maxLength: 32,
  description: 'The part of a key between `jg_` and the secret.',
})
const Tenant = Type.String({
  pattern: '^[a-z0-9][a-z0-9_-]{0,63}$',
  maxLength: 64,
  description: 'Owner of jobs and idempotency keys. API keys of one tenant see the same jobs, subject to their grants.',
})
const Scopes = Type.Array(Scope, { minItems: 1, maxItems: scopes.length, uniqueItems: true, description: 'What the key is allowed to do.' })
const TypeNames = Type.Array(Type.String({ pattern: '^[a-z0-9][a-z0-9-]{0,63}$', maxLength: 64 }), {
  minItems: 1,
  maxItems: 100,
  uniqueItems: true,
})
const Queues = Type.Array(QueueNameText(), { minItems: 1, maxItems: 100, uniqueItems: true })
const typesText = 'Job types the key is restricted to; null for all.'
const queuesText = 'Queues the key is restricted to; null for all.'
const rateText = 'Requests per window, overriding RATE_LIMIT_MAX; null to use RATE_LIMIT_MAX.'

/** A key as operators see it. Times are RFC 3339. */
export const ApiKey = Type.Object(
  {
    id: KeyId,
    name: Type.String({ description: 'Name given by the operator.' }),
    tenant: Type.String(),
    scopes: Type.Array(Type.String(), { description: 'What the key is allowed to do.' }),
    types: Nullable(Type.Array(Type.String()), { description: typesText }),
    queues: Nullable(Type.Array(Type.String()), { description: queuesText }),
    rateLimitMax: Nullable(Type.Integer(), { description: rateText }),
    createdAt: Time(),
    expiresAt: Nullable(Time(), { description: 'When the key expires; null for never.' }),
    rotatedAt: Nullable(Time(), { description: 'When the key got its current secret, if it was rotated.' }),
    previousValidUntil: Nullable(Time(), { description: 'Until when the previous secret is also accepted.' }),
    lastUsedAt: Nullable(Time(), { description: 'When the key was last used, to the minute; null if never.' }),
  },
  { $id: 'ApiKey', ...closed, description: 'An API key, without its secret.' },
)
export type ApiKey = Static<typeof ApiKey>
export const ApiKeyRef = Type.Unsafe<ApiKey>(Type.Ref('ApiKey'))

/** The answer that shows a secret, once. */
export const ApiKeySecret = Type.Object(
  {
    key: Type.String({
      description: 'The full key. It is shown only once and cannot be retrieved later.',
      examples: ['jg_1vKp4Qa8ZtR2mXcD_…'],
    }),
    apiKey: ApiKeyRef,
  },
  { $id: 'ApiKeySecret', ...closed, description: 'An API key with its secret.' },
)
export const ApiKeySecretRef = Type.Unsafe<Static<typeof ApiKeySecret>>(Type.Ref('ApiKeySecret'))

/** What an operator says of a key that is to be issued. */
export const NewApiKey = Type.Object(
  {
    name: Line(100, { description: 'What the key is for.' }),
    tenant: Type.Optional(Tenant),
    scopes: Scopes,
    types: Type.Optional(Nullable(TypeNames, { description: typesText })),
    queues: Type.Optional(Nullable(Queues, { description: queuesText })),
    rateLimitMax: Type.Optional(Nullable(Type.Integer({ minimum: 1, maximum: 1_000_000_000 }), { description: rateText })),
    expiresAt: Type.Optional(Nullable(Time(), { description: 'Must be in the future; null or absent for never.' })),
  },
  { ...closed, examples: [{ name: 'Web shop', scopes: ['jobs:submit', 'jobs:read'], queues: ['email'] }] },
)
export type NewApiKey = Static<typeof NewApiKey>

/** What the schema cannot see. `now`: milliseconds since 1970. */
export const newApiKeyProblems = ({ scopes, types, queues, expiresAt }: NewApiKey, now: number): FieldProblem[] => {
  const isOperator = scopes.includes('admin')
  return [
    ...(expiresAt && Date.parse(expiresAt) <= now ? [{ pointer: '#/expiresAt', detail: 'must be in the future' }] : []),
    ...(isOperator && types
      ? [{ pointer: '#/types', detail: 'cannot be combined with the scope admin, which has access to everything' }]
      : []),
    ...(isOperator && queues
      ? [{ pointer: '#/queues', detail: 'cannot be combined with the scope admin, which has access to everything' }]
      : []),
  ]
}
