// Answers, headers and parameters that several job routes describe alike.

import { type TSchema, Type } from '@sinclair/typebox'
import { JobView, type JobView as JobViewType } from '../types/job-schema.js'
import { paramCharsMax } from '../types/schema-parts.js'

/** A job by reference, typed. */
export const JobRef = Type.Unsafe<JobViewType>(Type.Ref(JobView.$id as string))

/** The job in an address `/v1/jobs/{id}…`. */
export const JobParams = Type.Object({ id: Type.String({ maxLength: paramCharsMax, description: 'ID of the job.' }) })

/** Response headers as OpenAPI 3.1 writes them; @fastify/swagger takes them from `headers` beside a response schema. */
export const responseHeaders = {
  Location: { type: 'string', description: 'URL of the job.' },
  'Retry-After': { type: 'integer', description: 'Whole seconds to wait before reading again.' },
  ETag: { type: 'string', description: 'Changes whenever the representation changes.' },
  'Idempotent-Replayed': { type: 'string', enum: ['true'], description: 'Present if this repeats an earlier response.' },
  'Preference-Applied': { type: 'string', description: 'The preference that was applied.' },
  RateLimit: { type: 'string', description: 'Remaining quota: "default";r=<left>;t=<seconds> (IETF draft).' },
  'RateLimit-Policy': { type: 'string', description: 'Quota: "default";q=<requests>;w=<seconds> (IETF draft).' },
} as const

type HeaderName = keyof typeof responseHeaders

/** A described answer with a JSON body and the headers that it may carry besides the rate limit's. */
export const jsonResponse = (schema: TSchema, description: string, headers: readonly HeaderName[] = []) => ({
  description,
  headers: Object.fromEntries([...headers, 'RateLimit' as const, 'RateLimit-Policy' as const].map((name) => [name, responseHeaders[name]])),
  content: { 'application/json': { schema } },
})
