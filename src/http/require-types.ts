// Has the job types that a submission names read before it is judged.

import type { FastifyReply, FastifyRequest } from 'fastify'
import { maySee } from '../auth/grants.js'
import type { Services } from '../gateway.js'
import { typeOfHeldLease } from '../leases/held-lease.js'
import { isObject } from '../runtime/json-text.js'
import { isTypeName } from '../types/queue-name.js'
import type { JobTypes } from '../types/registry.js'
import { problem } from './problems/problem-json.js'

/** How long a request waits for the job types of a Redis that has just come back. */
const typesMsMax = 500
/** A name that was looked for is not looked for again for so long: by then every instance knows of it. Of so many names that is remembered. */
const missedMs = 500
const missedMax = 1000
/** As many as a batch may have. */
const itemsMax = 1000

type Catalog = Pick<Services['catalog'], 'isLoaded' | 'loadWithin' | 'lookAgain'>

const unavailable = () =>
  problem('redis-unavailable', 'The job store is not responding. Nothing was stored; retry shortly.', { retryAfterSeconds: 1 })

/** The names of types in a body that nothing has checked yet: its own and those of what follows it. */
const namesIn = (body: unknown): unknown[] => {
  if (!isObject(body)) return []
  const { type, followUps } = body
  return [type, ...(Array.isArray(followUps) ? followUps.flatMap((each) => (isObject(each) ? [each['type']] : [])) : [])]
}

/**
 * Has the types looked for that a body names and this process does not know: they may have been registered elsewhere a moment ago. Not
 * for keys that may not use them: for these it takes no longer whether a type is there or not.
 */
export const createLookForTypes = ({ lookAgain }: Pick<Catalog, 'lookAgain'>, jobTypes: JobTypes) => {
  /** When a name was looked for: an import of bad lines waits twice a second, not at every line. */
  const missed = new Map<string, number>()
  const isDue = (name: string): boolean => {
    const now = performance.now()
    if (now - (missed.get(name) ?? Number.NEGATIVE_INFINITY) < missedMs) return false
    if (missed.size >= missedMax) missed.clear()
    missed.set(name, now)
    return true
  }
  return (request: Pick<FastifyRequest, 'principal'>, body: unknown): Promise<void> | undefined => {
    const isMissing = (name: unknown): boolean =>
      isTypeName(name) && !jobTypes.get(name) && maySee(request.principal, { type: name, queue: name, followUps: [] }) && isDue(name)
    return namesIn(body).some(isMissing) ? lookAgain() : undefined
  }
}

/**
 * Refuses with 503 as long as this instance has never read the registered job types: until then it cannot tell an unknown type from one that
 * is registered. For `preValidation` of routes that take submissions, of which a batch has many in `items`.
 */
export const createRequireTypes = (catalog: Catalog, jobTypes: JobTypes) => {
  const lookFor = createLookForTypes(catalog, jobTypes)
  const lookForAll = async (request: FastifyRequest): Promise<void> => {
    if (!catalog.isLoaded() && !(await catalog.loadWithin(typesMsMax))) throw unavailable()
    const { body } = request
    const items = isObject(body) && Array.isArray(body['items']) ? body['items'].slice(0, itemsMax) : [body]
    for (const item of items) {
      const looking = lookFor(request, item)
      // One look is for all of them.
      if (looking) return looking
    }
  }
  return (request: FastifyRequest, _reply: FastifyReply, done: (error?: Error) => void): void => {
    const { body } = request
    // As almost every submission is: nothing to wait for.
    if (catalog.isLoaded() && isObject(body) && body['followUps'] === undefined && jobTypes.get(body['type'] as string)) done()
    else lookForAll(request).then(() => done(), done)
  }
}

const listOf = (value: unknown): unknown[] => (Array.isArray(value) ? value.slice(0, itemsMax) : [])
const leaseOf = (value: unknown): unknown => (isObject(value) ? value['lease'] : undefined)

/**
 * The same for leases: of the types that a program asks for, and of those whose leases it names. To an instance that does not know the
 * type, such a lease would be one that is over, and the program would throw its work away. For `preHandler` of all routes of leases.
 */
export const createRequireLeasedTypes = (catalog: Catalog, jobTypes: JobTypes) => {
  const lookFor = createLookForTypes(catalog, jobTypes)
  const isUnknown = (name: unknown): boolean => isTypeName(name) && !jobTypes.get(name)
  const unknownIn = ({ body, params, principal }: FastifyRequest): unknown[] => {
    const { types, leases, items } = isObject(body) ? body : {}
    const named = [leaseOf(params), ...listOf(leases).map(leaseOf), ...listOf(items).map(leaseOf)]
    // As almost every lease is of a type that is known, none is looked at more closely.
    const held = named.filter((lease) => typeof lease === 'string' && isUnknown(lease.slice(0, lease.indexOf('_')))) as string[]
    return [...listOf(types), ...held.map((lease) => typeOfHeldLease(principal, lease))].filter(isUnknown)
  }
  return async (request: FastifyRequest): Promise<void> => {
    const unknown = unknownIn(request)
    if (unknown.length === 0) return
    if (!catalog.isLoaded() && !(await catalog.loadWithin(typesMsMax))) throw unavailable()
    for (const type of unknown) {
      const looking = lookFor(request, { type })
      // One look is for all of them.
      if (looking) return looking
    }
  }
}
