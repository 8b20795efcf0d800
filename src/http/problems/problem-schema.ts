// What a failure looks like on the wire: the RFC 9457 document and how routes declare it.

import { type Static, type TSchema, Type } from '@sinclair/typebox'

/** One invalid member. */
const FieldProblem = Type.Object(
  {
    pointer: Type.String({ description: 'JSON Pointer to the invalid member, as a URI fragment.', examples: ['#/data/to'] }),
    detail: Type.String({ description: 'What is wrong. Never repeats the value.' }),
    rule: Type.Optional(Type.String({ description: 'The rule of job contracts that is broken.' })),
    in: Type.Optional(
      Type.Unsafe<'query' | 'path' | 'header'>({ type: 'string', enum: ['query', 'path', 'header'], description: 'Absent for the body.' }),
    ),
    parameter: Type.Optional(Type.String({ description: 'Name of the invalid parameter, if it is not in the body.' })),
  },
  { additionalProperties: false },
)

/** Open, since kinds add members of their own and a closed schema would drop them when it serializes. */
export const Problem = Type.Object(
  {
    type: Type.String({
      description: 'Identifies the kind of problem. The URL explains it.',
      examples: ['/problems/validation-failed'],
    }),
    title: Type.String({ description: 'Summary of the kind of problem; the same for every problem of this type.' }),
    status: Type.Integer({ minimum: 400, maximum: 599, description: 'The HTTP status code.' }),
    detail: Type.String({ description: 'What happened in this case, and what to do.' }),
    instance: Type.Optional(Type.String({ description: 'Identifies this occurrence.' })),
    requestId: Type.Optional(Type.String({ description: 'Equals the X-Request-Id header; find it in the logs.' })),
    errors: Type.Optional(Type.Array(FieldProblem, { description: 'The invalid members, at most 20.' })),
  },
  { $id: 'Problem', additionalProperties: true, description: 'An error, in the format of RFC 9457.' },
)
/** The document of one failure. */
export type Problem = Static<typeof Problem> & { [member: string]: unknown }

/** A header of a described answer, as OpenAPI 3.1 writes it. */
const retryAfter = { 'Retry-After': { type: 'integer', minimum: 0, description: 'Whole seconds to wait before a retry.' } } as const

/**
 * Describes one problem answer, for a route that documents a single status.
 * Put it beside `...problemResponses`: `response: { 202: …, 409: problemResponse('Another request …'), ...problemResponses }`.
 */
export const problemResponse = (description: string, headers?: Record<string, unknown>) => ({
  description,
  ...(headers ? { headers } : {}),
  content: { 'application/problem+json': { schema: Type.Ref('Problem') as TSchema } },
})

/** The failures that every route shares. */
export const problemResponses = {
  '4xx': problemResponse('The request was refused; see `type` and `detail`.', retryAfter),
  '5xx': problemResponse(
    'Jobgate failed or is temporarily unavailable; the same request with the same Idempotency-Key is safe to retry.',
    retryAfter,
  ),
}
