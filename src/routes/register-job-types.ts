// PUT and DELETE /v1/job-types/{type}: job types that are registered while the gateway runs.

import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import type { FastifyRequest } from 'fastify'
import { hasScope, isLimited, maySee } from '../auth/grants.js'
import { toEntityTag } from '../catalog/entity-tag.js'
import type { RegisterOutcome } from '../catalog/register.js'
import type { TypeUsage } from '../catalog/usage.js'
import type { Services } from '../gateway.js'
import { requireScope } from '../http/authenticate.js'
import { readEntityTags } from '../http/headers/etag.js'
import { problem } from '../http/problems/problem-json.js'
import { problemResponse, problemResponses } from '../http/problems/problem-schema.js'
import { jsonResponse } from '../http/response-schemas.js'
import { type DefinitionFault, JobTypeDefinition } from '../types/contracts/definition.js'
import { toJobType } from '../types/contracts/own-type.js'
import { isTypeName, typeNameDetail } from '../types/queue-name.js'
import { closed, headerCharsMax, paramCharsMax } from '../types/schema-parts.js'
import { RegisteredJobType, type RegisteredJobType as RegisteredView, toTypeView } from './job-type-views.js'
import { typeNotFound } from './job-types.js'

export interface RegisterJobTypesOptions {
  readonly services: Pick<Services, 'catalog' | 'config'>
}

/** Two contracts, an example, and room for white space. */
const bodyLimitBytes = 262_144

const Params = Type.Object({ type: Type.String({ maxLength: paramCharsMax, description: 'Name of the job type.' }) })
const ifMatch = Type.Optional(
  Type.String({
    maxLength: headerCharsMax,
    description: 'Only if the latest version has one of these ETags; `*`: only if the type exists.',
  }),
)
const ifNoneMatch = Type.Optional(Type.String({ maxLength: headerCharsMax, description: '`*`: only if the type does not exist yet.' }))
const RegisteredRef = Type.Unsafe<RegisteredView>(Type.Ref(RegisteredJobType.$id as string))

const toPreconditions = ({ headers }: FastifyRequest) => ({
  ifMatch: readEntityTags('If-Match', headers['if-match']),
  ifNoneMatch: readEntityTags('If-None-Match', headers['if-none-match']),
})

const registerJobTypes: FastifyPluginAsyncTypebox<RegisterJobTypesOptions> = async (app, { services: { catalog, config } }) => {
  app.addHook('onRequest', requireScope('types:manage'))

  app.route({
    method: 'PUT',
    url: '/v1/job-types/:type',
    bodyLimit: bodyLimitBytes,
    config: {
      documentedBody: JobTypeDefinition,
      documentedExamples: { 'resize-image': { summary: 'A type that programs run over HTTP', value: exampleDefinition } },
    },
    schema: {
      operationId: 'registerJobType',
      summary: 'Register a job type',
      description: [
        'Registers a job type, or its next version: every instance accepts jobs of it within a second. Putting an unchanged definition',
        'changes nothing. Its contracts are JSON Schemas of a subset in which every object is closed and every text and list has a bound.',
        'Whatever fits an earlier version that is still in use has to fit the new one; the problem `contract-incompatible` names what does not.',
        'Requires the `types:manage` scope.',
      ].join(' '),
      tags: ['catalog'],
      params: Params,
      // Checked by hand: what a definition breaks is told by rule.
      body: Type.Unknown(),
      headers: Type.Object({ 'If-Match': ifMatch, 'If-None-Match': ifNoneMatch }),
      querystring: Type.Object(
        {
          dryRun: Type.Optional(Type.Boolean({ description: 'Check everything and store nothing.' })),
          force: Type.Optional(
            Type.Boolean({
              description:
                'With `"compatibility": "none"`: although jobs or schedules need an earlier version. Requires the `admin` scope.',
            }),
          ),
        },
        closed,
      ),
      response: {
        200: jsonResponse(RegisteredRef, 'The next version, or the unchanged one, is registered; or, with `dryRun`, would be.', ['ETag']),
        201: jsonResponse(RegisteredRef, 'The job type is registered.', ['ETag', 'Location']),
        409: problemResponse('The contract is not compatible with a version in use, or there are too many job types.'),
        412: problemResponse('The type is not the version that `If-Match` names.'),
        ...problemResponses,
      },
    },
    handler: async (request, reply) => {
      const { body, principal, query } = request
      const { type: name } = request.params
      requireTypeName(name)
      if (isLimited(principal) && !maySee(principal, { type: name, queue: name, followUps: [] })) {
        throw problem('forbidden', `This API key has no grant for the job type \`${name}\`.`)
      }
      const isForced = query.force === true
      if (isForced && !hasScope(principal, 'admin')) throw problem('forbidden', '`force` requires the `admin` scope.')
      requireRunner(body)
      const isDryRun = query.dryRun === true
      const outcome = await catalog.register({
        name,
        body,
        by: principal.keyId,
        preconditions: toPreconditions(request),
        isDryRun,
        isForced,
      })
      const { kind, head, version, warnings } = requireRegistered(outcome)
      if (kind !== 'unchanged' && !isDryRun)
        request.log.info({ type: name, version: head.version, by: principal.keyId }, 'job type registered')
      if (kind === 'created' && !isDryRun) reply.code(201).header('location', `/v1/job-types/${name}`)
      reply.header('etag', `"${toEntityTag(head)}"`)
      const type = toJobType(name, version.definition, head.sensitive)
      return reply.send({
        ...toTypeView({ type, version: head.version }, { config, available: new Set() }),
        warnings: warnings.map(({ pointer, detail, rule }) => ({ pointer, detail, ...(rule === undefined ? {} : { rule }) })),
      })
    },
  })

  app.route({
    method: 'DELETE',
    url: '/v1/job-types/:type',
    schema: {
      operationId: 'deleteJobType',
      summary: 'Delete a job type',
      description:
        'Deletes a registered job type and its queue, with all finished jobs in it. Refused while jobs have not finished, or schedules submit them. Requires the `types:manage` scope.',
      tags: ['catalog'],
      params: Params,
      headers: Type.Object({ 'If-Match': ifMatch }),
      response: {
        204: Type.Null({ description: 'The job type is deleted.' }),
        409: problemResponse('Jobs or schedules still need the job type; `jobs` and `schedules` are their counts.'),
        412: problemResponse('The type is not the version that `If-Match` names.'),
        ...problemResponses,
      },
    },
    handler: async (request, reply) => {
      const { principal } = request
      const { type: name } = request.params
      if (isLimited(principal) && !maySee(principal, { type: name, queue: name, followUps: [] })) throw typeNotFound()
      const outcome = await catalog.remove(name, { by: principal.keyId, preconditions: toPreconditions(request) })
      switch (outcome.kind) {
        case 'missing':
          throw typeNotFound()
        case 'reserved':
          throw problem('forbidden', 'This job type is built in; it cannot be deleted.')
        case 'precondition-failed':
          throw preconditionFailed()
        case 'in-use':
          throw inUse(outcome.usage)
      }
      request.log.info({ type: name, by: principal.keyId }, 'job type deleted')
      return reply.code(204).send(null)
    },
  })
}

export default registerJobTypes

const preconditionFailed = () =>
  problem('precondition-failed', 'The job type has changed, or does not exist: its ETag is not one that the request names.')

const inUse = (usage: TypeUsage) =>
  problem('job-type-in-use', `${usage.jobs} unfinished jobs and ${usage.schedules} schedules need this job type.`, {
    extensions: { ...usage },
  })

const refuse = (errors: readonly DefinitionFault[]) => {
  const detail =
    errors.length === 1 ? 'The definition has one error; see `errors`.' : `The definition has ${errors.length} errors; see \`errors\`.`
  return problem('validation-failed', detail, { errors })
}

const requireTypeName = (name: string): void => {
  if (isTypeName(name)) return
  throw problem('validation-failed', 'The path has one error; see `errors`.', {
    errors: [{ pointer: '#/type', detail: typeNameDetail, in: 'path', parameter: 'type' }],
  })
}

/** Modules are registered by the process that has them; the others are not run by anybody yet. */
const refusals: Readonly<Record<string, string>> = {
  module: 'is for modules in JOB_TYPES_DIR, which Jobgate registers when it starts; use pull',
  push: 'is not available in this version; use pull',
  bullmq: 'is not available in this version; use pull',
}

const requireRunner = (body: unknown): void => {
  const by = (body as { runs?: { by?: unknown } } | null)?.runs?.by
  const detail = typeof by === 'string' && Object.hasOwn(refusals, by) ? refusals[by] : undefined
  if (detail) throw refuse([{ pointer: '#/runs/by', detail, rule: 'runs' }])
}

const requireRegistered = (outcome: RegisterOutcome) => {
  switch (outcome.kind) {
    case 'created':
    case 'updated':
    case 'unchanged':
      return outcome
    case 'refused':
      throw refuse(outcome.faults)
    case 'reserved':
      throw problem('validation-failed', 'The path has one error; see `errors`.', {
        errors: [{ pointer: '#/type', detail: 'is the name of a built-in job type, or reserved', in: 'path', parameter: 'type' }],
      })
    case 'precondition-failed':
      throw preconditionFailed()
    case 'in-use':
      throw inUse(outcome.usage)
    case 'full':
      throw problem(
        'job-types-full',
        outcome.of === 'types'
          ? 'The limit of JOB_TYPES_MAX has been reached.'
          : 'The job type has had as many versions as one can have; register it under a new name.',
      )
    case 'incompatible':
      throw problem(
        'contract-incompatible',
        `Data or results that fit version ${outcome.version} would not fit this one; see \`errors\`.`,
        {
          errors: outcome.incompatibilities.map(({ pointer, detail, rule, isCertain }) => ({
            pointer,
            detail: isCertain ? detail : `${detail}; whether that refuses something is undecided`,
            ...(rule === undefined ? {} : { rule }),
          })),
          extensions: {
            version: outcome.version,
            ...(outcome.counterexample === undefined ? {} : { counterexample: outcome.counterexample }),
          },
        },
      )
  }
}

const exampleDefinition = {
  description: 'Makes a smaller copy of an image.',
  data: {
    type: 'object',
    properties: {
      source: { type: 'string', format: 'uri', maxLength: 2000 },
      width: { type: 'integer', minimum: 1, maximum: 10_000 },
    },
    required: ['source', 'width'],
    additionalProperties: false,
  },
  example: { source: 'https://example.com/cat.png', width: 640 },
  runs: { by: 'pull' },
} satisfies JobTypeDefinition
