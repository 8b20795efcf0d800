// What a failure looks like on the wire: the RFC 9457 document and how routes declare it.

import { type Static, type TSchema, Type } from '@sinclair/typebox'

/** One member at fault. */
const FieldProblem = Type.Object(
  {
    pointer: Type.String({ description: 'JSON Pointer, as a URI fragment, to the member at fault.', examples: ['#/data/to'] }),
    detail: Type.String({ description: 'What is wrong with it. Never repeats the value.' }),
    in: Type.Optional(
      Type.Unsafe<'query' | 'path' | 'header'>({ type: 'string', enum: ['query', 'path', 'header'], description: 'Absent for the body.' }),
    ),
    parameter: Type.Optional(Type.String({ description: 'Name of the parameter at fault, outside the body.' })),
  },
  { additionalProperties: false },
)

/** Open, since kinds add members of their own and a closed schema would drop them when it serialises. */
export const Problem = Type.Object(
  {
    type: Type.String({
      description: 'Identifies the kind of problem; the address explains it.',
      examples: ['/problems/validation-failed'],
    }),
    title: Type.String({ description: 'The kind in words; constant for a type.' }),
    status: Type.Integer({ minimum: 400, maximum: 599, description: 'The HTTP status.' }),
    detail: Type.String({ description: 'What happened this time, and what to do.' }),
    instance: Type.Optional(Type.String({ description: 'Names this occurrence.' })),
    requestId: Type.Optional(Type.String({ description: 'Equals the header X-Request-Id; the logs know it.' })),
    errors: Type.Optional(Type.Array(FieldProblem, { description: 'Every member at fault, at most 20 of them.' })),
  },
  { $id: 'Problem', additionalProperties: true, description: 'A failure, as RFC 9457 writes it.' },
)
/** The document of one failure. */
export type Problem = Static<typeof Problem> & { [member: string]: unknown }

/** A header of a described answer, as OpenAPI 3.1 writes it. */
const retryAfter = { 'Retry-After': { type: 'integer', minimum: 0, description: 'Whole seconds until a retry makes sense.' } } as const

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
  '4xx': problemResponse('The request was refused; `type` and `detail` say why.', retryAfter),
  '5xx': problemResponse(
    'Jobgate failed or cannot answer now; the same request with the same Idempotency-Key is safe to send again.',
    retryAfter,
  ),
}
