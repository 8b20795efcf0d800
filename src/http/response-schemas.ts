// Answers, headers and parameters that several job routes describe alike.

import { type TSchema, Type } from '@sinclair/typebox'
import { JobView, type JobView as JobViewType } from '../types/job-schema.js'
import { paramCharsMax } from '../types/schema-parts.js'

/** A job by reference, typed. */
export const JobRef = Type.Unsafe<JobViewType>(Type.Ref(JobView.$id as string))

/** The job in an address `/v1/jobs/{id}…`. */
export const JobParams = Type.Object({ id: Type.String({ maxLength: paramCharsMax, description: 'Id of the job.' }) })

/** Response headers as OpenAPI 3.1 writes them; @fastify/swagger takes them from `headers` beside a response schema. */
export const responseHeaders = {
  Location: { type: 'string', description: 'Address of the job.' },
  'Retry-After': { type: 'integer', description: 'Whole seconds after which to look again.' },
  ETag: { type: 'string', description: 'Changes exactly when the representation does.' },
  'Idempotent-Replayed': { type: 'string', enum: ['true'], description: 'Present when this repeats an earlier answer.' },
  'Preference-Applied': { type: 'string', description: 'The preference that was followed.' },
  RateLimit: { type: 'string', description: 'What is left of the quota: "default";r=<left>;t=<seconds> (work in progress at the IETF).' },
  'RateLimit-Policy': { type: 'string', description: 'The quota: "default";q=<requests>;w=<seconds> (work in progress at the IETF).' },
} as const

type HeaderName = keyof typeof responseHeaders

/** A described answer with a JSON body and the headers that it may carry besides the rate limit's. */
export const jsonResponse = (schema: TSchema, description: string, headers: readonly HeaderName[] = []) => ({
  description,
  headers: Object.fromEntries([...headers, 'RateLimit' as const, 'RateLimit-Policy' as const].map((name) => [name, responseHeaders[name]])),
  content: { 'application/json': { schema } },
})
