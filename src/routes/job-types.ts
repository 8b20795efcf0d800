// GET /v1/job-types: the job types as clients see them.

import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { type Static, Type } from '@sinclair/typebox'
import { maySee } from '../auth/grants.js'
import { toEntityTag } from '../catalog/entity-tag.js'
import type { Services } from '../gateway.js'
import { requireScope } from '../http/authenticate.js'
import { problem } from '../http/problems/problem-json.js'
import { problemResponses } from '../http/problems/problem-schema.js'
import { createLookForTypes } from '../http/require-types.js'
import { jsonResponse } from '../http/response-schemas.js'
import { toJobType } from '../types/contracts/own-type.js'
import type { JobType } from '../types/definition.js'
import type { RegisteredType } from '../types/registry.js'
import { closed, Nullable, paramCharsMax } from '../types/schema-parts.js'
import { JobTypeVersion, JobTypeView, toTypeView, toVersionView } from './job-type-views.js'

export interface JobTypesOptions {
  readonly services: Pick<Services, 'catalog' | 'config' | 'jobTypes' | 'leases' | 'workerInstances'>
}

const JobTypeRef = Type.Unsafe<JobTypeView>(Type.Ref(JobTypeView.$id as string))
const VersionRef = Type.Unsafe<Static<typeof JobTypeVersion>>(Type.Ref(JobTypeVersion.$id as string))
const name = Type.String({ maxLength: paramCharsMax, description: 'Name of the job type.' })

/** The same answer for what does not exist and for what the caller may not see. */
export const typeNotFound = () => problem('not-found', 'There is no job type with this name.')

const jobTypes: FastifyPluginAsyncTypebox<JobTypesOptions> = async (app, { services }) => {
  const { catalog, jobTypes, config, leases, workerInstances } = services
  app.addHook('onRequest', requireScope('jobs:read'))

  const lookFor = createLookForTypes(catalog, jobTypes)
  const readAvailable = async (): Promise<ReadonlySet<string>> => {
    const [instances, remote] = await Promise.all([workerInstances(), leases.workers.present()])
    return new Set([...instances, ...remote].flatMap(({ types }) => types))
  }
  const isVisible = (request: { principal: Parameters<typeof maySee>[0] }, { name: type, queue }: JobType): boolean =>
    maySee(request.principal, { type, queue, followUps: [] })

  /** Throws 404 for a type that is not there or that the caller may not see. */
  const requireType = async (request: { params: { type: string }; principal: Parameters<typeof maySee>[0] }): Promise<RegisteredType> => {
    await lookFor(request, request.params)
    const registered = jobTypes.get(request.params.type)
    if (!registered || !isVisible(request, registered.type)) throw typeNotFound()
    return registered
  }

  /** Versions of a built-in type change with the release of Jobgate: only those that were registered are kept. */
  const requireRegistered = async (request: Parameters<typeof requireType>[0]): Promise<string> => {
    const { type } = await requireType(request)
    if (!type.registered) throw problem('not-found', 'Built-in job types have no stored versions.')
    return type.name
  }

  /** The latest version and its entity tag, both as they are stored: this instance may not have heard of it yet. */
  const readLatest = async ({ type, version }: RegisteredType) => {
    if (!type.registered) return { type, version, etag: `${version}-built-in` }
    const stored = await catalog.readHead(type.name)
    const latest = stored && (await catalog.readVersion(type.name, stored.head.version))
    if (!latest) throw typeNotFound()
    const { head } = stored
    return { type: toJobType(type.name, latest.definition, head.sensitive), version: head.version, etag: toEntityTag(head) }
  }

  app.route({
    method: 'GET',
    url: '/v1/job-types',
    schema: {
      operationId: 'listJobTypes',
      summary: 'List job types',
      description: 'All job types that this gateway accepts, built-in and registered ones, with schemas, defaults and an example.',
      tags: ['catalog'],
      response: {
        200: jsonResponse(Type.Object({ items: Type.Array(JobTypeRef), next: Nullable(Type.String()) }, closed), 'All job types.'),
        ...problemResponses,
      },
    },
    handler: async (request) => {
      const available = await readAvailable()
      const visible = jobTypes.latest().filter(({ type }) => isVisible(request, type))
      return { items: visible.map((each) => toTypeView(each, { config, available })), next: null }
    },
  })

  app.route({
    method: 'GET',
    url: '/v1/job-types/:type',
    schema: {
      operationId: 'getJobType',
      summary: 'Read a job type',
      description: "The job type's schemas, defaults and example, and whether a worker can run it now.",
      tags: ['catalog'],
      params: Type.Object({ type: name }),
      response: {
        200: jsonResponse(JobTypeRef, 'The job type.', ['ETag']),
        ...problemResponses,
      },
    },
    handler: async (request, reply) => {
      const { etag, ...latest } = await readLatest(await requireType(request))
      // Of the version, for If-Match: whether a worker runs it now is no part of that.
      reply.header('etag', `"${etag}"`)
      return toTypeView(latest, { config, available: await readAvailable() })
    },
  })

  app.route({
    method: 'GET',
    url: '/v1/job-types/:type/versions',
    schema: {
      operationId: 'listJobTypeVersions',
      summary: 'List the versions of a job type',
      description: 'The numbers of all versions of a registered job type, latest first.',
      tags: ['catalog'],
      params: Type.Object({ type: name }),
      response: {
        200: jsonResponse(
          Type.Object({ items: Type.Array(Type.Object({ version: Type.Integer() }, closed)), next: Nullable(Type.String()) }, closed),
          'All versions.',
        ),
        ...problemResponses,
      },
    },
    handler: async (request) => {
      const numbers = await catalog.readVersionNumbers(await requireRegistered(request))
      return { items: numbers.map((version) => ({ version })), next: null }
    },
  })

  app.route({
    method: 'GET',
    url: '/v1/job-types/:type/versions/:version',
    schema: {
      operationId: 'getJobTypeVersion',
      summary: 'Read a version of a job type',
      description: 'The definition of one version, as it was registered.',
      tags: ['catalog'],
      params: Type.Object({ type: name, version: Type.Integer({ minimum: 1, maximum: 1_000_000, description: 'Number of the version.' }) }),
      response: { 200: jsonResponse(VersionRef, 'The version.'), ...problemResponses },
    },
    handler: async (request) => {
      const { version: number } = request.params
      const type = await requireRegistered(request)
      const version = await catalog.readVersion(type, number)
      if (!version) throw problem('not-found', 'The job type has no such version.')
      return toVersionView(type, number, version)
    },
  })
}

export default jobTypes
