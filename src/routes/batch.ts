// POST /v1/jobs/batch: many submissions at once, as one JSON document or as NDJSON streamed both ways.

import { setImmediate as nextTurn } from 'node:timers/promises'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { type TSchema, Type } from '@sinclair/typebox'
import type { FastifyRequest } from 'fastify'
import type { Services } from '../gateway.js'
import { type HeldKey, requireScope } from '../http/authenticate.js'
import { problemOfJson } from '../http/bodies/json-body.js'
import type { NdjsonLine } from '../http/bodies/line-stream.js'
import ndjson, { isNdjson } from '../http/bodies/ndjson.js'
import { requireGrants, toJobTrace, toSubmitProblem } from '../http/job-responses.js'
import { problem, problemDetailsOf, toProblemDetails, toProblemDocument } from '../http/problems/problem-json.js'
import { type Problem, problemResponses } from '../http/problems/problem-schema.js'
import type { ProblemDetails, ProblemName } from '../http/problems/problem-types.js'
import { createLookForTypes, createRequireTypes } from '../http/require-types.js'
import type { AcceptContext } from '../jobs/envelope.js'
import { mapInOrder } from '../runtime/in-order.js'
import { parseJson } from '../runtime/json-text.js'
import type { FieldProblem } from '../types/field-problems.js'
import { toFieldProblems } from '../types/field-problems.js'
import { JobId } from '../types/job-schema.js'
import { closed, headerCharsMax } from '../types/schema-parts.js'
import type { BatchItem } from '../types/submission.js'
import type { Validate } from '../types/validator.js'
import { requireIdempotencyKey } from './submit.js'

export interface BatchOptions {
  readonly services: Pick<Services, 'accept' | 'catalog' | 'config' | 'jobTypes'>
  /** The `oneOf` over all job types with their optional keys; registered by the app. */
  readonly batchItem: TSchema
  /** Checks an item. */
  readonly check: Validate
}

const itemsMax = 1000
/**
 * Submissions under way at once: enough to fill several scripts. With 512 what was under way outlived the young generation
 * of the heap, and collecting it took up to two fifths of the time.
 */
const window = 64
/** So many lines are read in one turn of the event loop: those that are refused wait for nothing, and others would wait for all of them. */
const linesPerTurn = 256

export const BatchResult = Type.Object(
  {
    index: Type.Integer({ minimum: 0, description: 'Index of the item, from 0. Blank NDJSON lines do not count.' }),
    status: Type.Integer({ description: '202, or the status that the item would have had by itself.' }),
    id: Type.Optional(JobId),
    location: Type.Optional(Type.String()),
    replayed: Type.Optional(Type.Boolean({ description: 'True if an earlier request with this key created the job.' })),
    error: Type.Optional(Type.Ref('Problem') as TSchema),
  },
  { $id: 'JobBatchResult', ...closed, description: 'The outcome of one item.' },
)

const toJsonBody = (item: TSchema) =>
  Type.Object(
    { items: Type.Array(item, { minItems: 1, maxItems: itemsMax }) },
    { ...closed, description: `Up to ${itemsMax} submissions.` },
  )

type Result =
  | { index: number; status: 202; id: string; location: string; replayed?: true }
  | { index: number; status: number; error: Problem }

/** What all items of one batch share. `key` is that of the header. */
interface Batch {
  readonly request: FastifyRequest
  readonly held: HeldKey
  readonly key: string | null
}

/** An item as it was read: not yet checked, or already refused. */
type Entry = { readonly value: unknown } | { readonly refused: ProblemDetails }

const batch: FastifyPluginAsyncTypebox<BatchOptions> = async (app, { services, batchItem, check }) => {
  const { accept, config, jobTypes } = services
  const lookFor = createLookForTypes(services.catalog, jobTypes)
  const item = Type.Ref(batchItem.$id as string)
  await app.register(ndjson, { lineBytesMax: config.http.ndjsonLineBytes, idleMs: config.http.ndjsonIdleMs })

  app.route({
    method: 'POST',
    url: '/v1/jobs/batch',
    onRequest: requireScope('jobs:submit'),
    preValidation: createRequireTypes(services.catalog, jobTypes),
    // Documented is what an item should be; checked here is only the frame, since items are judged one by one.
    config: {
      sheddable: true,
      documentedBody: {
        content: { 'application/json': { schema: toJsonBody(item) }, 'application/x-ndjson': { schema: item } },
      },
    },
    schema: {
      operationId: 'submitJobs',
      summary: 'Submit many jobs',
      description: [
        `As JSON, up to ${itemsMax} submissions. As NDJSON, one submission per line and as many as you like, with one response line per item while you send.`,
        'Items are independent: an invalid one does not affect the others. Items can have an `idempotencyKey`;',
        'for the others, the Idempotency-Key header combined with the index of the item is used, so a batch that you retry replays item by item.',
        'If the instance shuts down in the middle of an NDJSON batch, the response ends early but cleanly: its last line has status 503 and the index of the first',
        'item that was not read. Retry the items without a 202, with their keys. If you sent the header, retry the whole batch from its first line so that every item keeps its index.',
        'If the API key is revoked, expires or loses a right meanwhile, the response ends likewise within 5 s, with status 401.',
      ].join(' '),
      tags: ['jobs'],
      headers: Type.Object({
        'Idempotency-Key': Type.Optional(
          Type.String({ maxLength: headerCharsMax, description: 'Applies to every item without its own key.' }),
        ),
      }),
      body: {
        content: {
          'application/json': { schema: toJsonBody(Type.Any()) },
          'application/x-ndjson': { schema: Type.Any() },
        },
      },
      response: {
        207: {
          description: 'The outcome of every item, in input order.',
          content: {
            'application/json': { schema: Type.Object({ items: Type.Array(Type.Ref(BatchResult.$id as string)) }, closed) },
            'application/x-ndjson': { schema: Type.Ref(BatchResult.$id as string) },
          },
        },
        ...problemResponses,
      },
    },
    handler: async (request, reply) => {
      const key = requireIdempotencyKey(request, { ...config.idempotency, required: false })
      const held = request.holdKey()
      reply.raw.once('close', held.release)
      const work = (entry: Entry, index: number) => toResult({ request, held, key }, entry, index)
      reply.code(207)
      if (isNdjson(request)) return reply.ndjson(mapInOrder(readEntries(request.body.chunks(held.signal)), window, work))
      // Without a Content-Type no schema has seen it.
      if (request.body === undefined) {
        throw problem('malformed-body', 'The body is missing. Send submissions as application/json or application/x-ndjson.')
      }
      const { items } = request.body as { items: unknown[] }
      const results: Result[] = []
      for await (const result of mapInOrder(
        items.map((value) => ({ value })),
        window,
        work,
      ))
        results.push(result)
      return reply.send({ items: results })
    },
  })

  async function toResult({ request, held, key }: Batch, entry: Entry, index: number): Promise<Result> {
    if ('refused' in entry) return toRefusal(index, entry.refused)
    try {
      const ended = problemDetailsOf(held.problem())
      if (ended) return toRefusal(index, { ...ended, detail: `${ended.detail} This item was not stored.` })
      return await submitItem(request, entry.value, index, key)
    } catch (error) {
      const details = toProblemDetails(error)
      if (details.problem === 'internal-error') request.log.error({ err: error, index }, 'batch item failed')
      return toRefusal(index, details)
    }
  }

  async function submitItem(request: FastifyRequest, value: unknown, index: number, headerKey: string | null): Promise<Result> {
    await lookFor(request, value)
    if (!check(value)) return toRefusal(index, toItemFault(toFieldProblems(check.errors ?? [])))
    const { idempotencyKey, ...submission } = value as BatchItem
    requireGrants(request, submission, jobTypes)
    const key = toItemKey(idempotencyKey, headerKey, index)
    if (!key && config.idempotency.required) {
      return toRefusal(index, { problem: 'idempotency-key-missing', detail: 'Neither the item nor the batch has an idempotency key.' })
    }
    const outcome = await accept(submission, {
      tenant: request.principal.tenant,
      ...(key ? { key } : {}),
      ...toJobTrace(request),
    })
    if (outcome.kind !== 'accepted') return toRefusal(index, problemDetailsOf(toSubmitProblem(outcome)) as ProblemDetails)
    const { jobId: id } = outcome.acceptance
    return { index, status: 202, id, location: `/v1/jobs/${id}`, ...(outcome.replayed ? { replayed: true } : {}) }
  }
}

const toItemKey = (own: string | undefined, header: string | null, index: number): AcceptContext['key'] => {
  if (own !== undefined) return { key: own, space: 'key' }
  return header === null ? undefined : { key: JSON.stringify([header, index]), space: 'batch' }
}

const toItemFault = (errors: readonly FieldProblem[]): ProblemDetails =>
  errors.some(({ pointer }) => pointer === '#/idempotencyKey')
    ? { problem: 'idempotency-key-invalid', detail: '`idempotencyKey` must have 1 to 255 printable ASCII characters.', errors }
    : { problem: 'validation-failed', detail: 'The item does not match its schema; see `errors`.', errors }

const toRefusal = (index: number, details: ProblemDetails): Result => {
  const error = toProblemDocument(details)
  return { index, status: error.status, error }
}

/** Why the reading of lines may stop before their end, and what to do about it. */
const stops: Partial<Record<ProblemName, string>> = {
  'shutting-down': 'Neither this item nor any after it was read; retry them with their keys.',
  unauthorized: 'Neither this item nor any after it was stored; send them with a valid API key and their idempotency keys.',
}

/**
 * Lines to entries. A line that cannot be read is refused with its number; the others go on.
 * When the server stops, or the API key ends, one last entry stands for all that was not read.
 */
async function* readEntries(chunks: AsyncIterable<NdjsonLine[]>): AsyncGenerator<Entry> {
  try {
    let count = 0
    for await (const lines of chunks) {
      for (const line of lines) {
        if (++count % linesPerTurn === 0) await nextTurn()
        yield toEntry(line)
      }
    }
  } catch (error) {
    const details = problemDetailsOf(error)
    const advice = details && stops[details.problem]
    if (!advice) throw error
    yield { refused: { ...details, detail: `${details.detail} ${advice}` } }
  }
}

const toEntry = (line: NdjsonLine): Entry => {
  const at = { extensions: { line: line.number } }
  if ('tooLong' in line) return { refused: { problem: 'payload-too-large', detail: `Line ${line.number} is too long.`, ...at } }
  if ('notUtf8' in line) return { refused: { problem: 'malformed-body', detail: `Line ${line.number} is not UTF-8.`, ...at } }
  const parsed = parseJson(line.text)
  if (parsed.kind === 'value') return { value: parsed.value }
  return { refused: { ...(problemDetailsOf(problemOfJson(parsed, `Line ${line.number}`)) as ProblemDetails), ...at } }
}

export default batch
