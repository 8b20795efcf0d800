// Reads JSON bodies: UTF-8 only, no content encoding, bounded in size, depth and time.

import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { isObject, type ParsedJson, parseJson, toUtf8 } from '../../runtime/json-text.js'
import { toFieldProblems, toIllFormedProblems } from '../../types/field-problems.js'
import { endUnread, hasBody } from '../limits/unread-body.js'
import { problem } from '../problems/problem-json.js'

export interface JsonBodyOptions {
  /** A JSON body, or that of a form, has to be complete within this time after its headers. */
  readonly bodyTimeoutMs: number
}

declare module 'fastify' {
  interface FastifyRequest {
    /** Until when the body has to be complete; null when none is being read. */
    bodyDeadline: Deadline | null
  }
}

const json = 'application/json'
/** What a form of a page sends, where a route reads it. */
export const formType = 'application/x-www-form-urlencoded'
const token = "[!#$%&'*+.^_`|~A-Za-z0-9-]+"
/** RFC 9110, section 8.3: a media type and its parameters, nothing behind them. */
const contentType = new RegExp(`^\\s*(${token}/${token})((?:\\s*;\\s*(?:${token}=(?:${token}|"[^"\\\\]*"))?)*)\\s*$`)
const charset = /;\s*charset="?([^";\s]*)"?/gi
const contentTypeLengthMax = 256

/** The media type in lower case; undefined without a header, null when the header cannot be read or names a charset other than UTF-8. */
export const readMediaType = (header: string | undefined): string | null | undefined => {
  if (header === undefined) return undefined
  if (header === json) return json
  const parts = header.length <= contentTypeLengthMax ? contentType.exec(header) : null
  if (!parts) return null
  for (const [, name = ''] of (parts[2] as string).matchAll(charset)) {
    if (!/^(utf-8|utf8|us-ascii)$/i.test(name)) return null
  }
  return (parts[1] as string).toLowerCase()
}

const jsonBody = async (app: FastifyInstance, { bodyTimeoutMs }: JsonBodyOptions) => {
  app.removeContentTypeParser('text/plain')

  app.decorateRequest('bodyDeadline', null)
  const deadlines = createDeadlines(bodyTimeoutMs)
  app.addHook('onClose', async () => deadlines.close())

  app.addHook('preParsing', (request, reply, payload, done) => {
    if (!hasBody(request)) return done(null, payload)
    const encoding = request.headers['content-encoding']
    if (encoding !== undefined && encoding.trim().toLowerCase() !== 'identity') {
      throw problem('unsupported-media-type', 'Content-Encoding is not supported; send the body unencoded.', {
        headers: { 'accept-encoding': 'identity' },
      })
    }
    const mediaType = readMediaType(request.headers['content-type'])
    if (mediaType === null) throw problem('unsupported-media-type', 'Content-Type is invalid or names a charset other than UTF-8.')
    if ((mediaType === json || mediaType === formType) && !request.raw.complete) deadlines.start(request, reply)
    done(null, payload)
  })
  // Whoever sends a member has a reason, such as `dryRun`: it must not be overlooked.
  app.addHook('onRoute', (route) => {
    if (route.schema?.operationId === undefined || route.schema.body !== undefined) return
    route.preValidation = [refuseBody, ...[route.preValidation ?? []].flat()]
  })
  // What was not read to its end is no longer waited for once it is answered.
  app.addHook('onResponse', (request, _reply, done) => {
    deadlines.end(request)
    endUnread(request)
    done()
  })

  app.addContentTypeParser(json, { parseAs: 'buffer' }, (request, body, done) => {
    deadlines.end(request)
    // Many clients announce JSON although they send nothing: where no body is asked for, that is none.
    if (body.length === 0 && request.routeOptions.schema?.body === undefined) return done(null, undefined)
    const text = toUtf8(body as Buffer)
    if (text === null) return done(problem('malformed-body', 'The body is not UTF-8.'))
    if (text === '') return done(problem('malformed-body', 'The body is empty, but Content-Type is JSON.'))
    const parsed = parseJson(text)
    return parsed.kind === 'value' ? done(null, parsed.value) : done(problemOfJson(parsed))
  })
}

/** `place` is where the text stands, such as `Line 3`. */
export const problemOfJson = (parsed: Exclude<ParsedJson, { kind: 'value' }>, place?: string): Error => {
  const at = place === undefined ? '' : `${place}: `
  switch (parsed.kind) {
    case 'malformed':
      return problem('malformed-body', `${at}${parsed.detail}`)
    case 'excessive':
      return problem('payload-too-large', `${at}${parsed.detail}`)
    case 'ill-formed':
      return problem('validation-failed', `${at}Some text is not well-formed Unicode; see \`errors\`.`, {
        errors: toIllFormedProblems(parsed.paths),
      })
  }
}

const unknownMember = { keyword: 'additionalProperties', instancePath: '', schemaPath: '' }

/** For routes that ask for no body: an empty object is none. */
const refuseBody = ({ body }: FastifyRequest, _reply: FastifyReply, done: (error?: Error) => void): void => {
  const names = isObject(body) ? Object.keys(body) : []
  if (body === undefined || body === null || (isObject(body) && names.length === 0)) {
    done()
    return
  }
  const errors = isObject(body)
    ? toFieldProblems(names.map((name) => ({ ...unknownMember, params: { additionalProperty: name } })))
    : [{ pointer: '#', detail: 'must be omitted or be an empty object' }]
  done(problem('validation-failed', 'This route takes no body; `errors` lists the members it received.', { errors }))
}

/** A body that is being read, in the list of all of them. */
interface Deadline {
  readonly request: FastifyRequest
  readonly reply: FastifyReply
  readonly dueAt: number
  previous: Deadline | Ends
  next: Deadline | Ends
}
/** Where the list begins and ends. */
interface Ends {
  previous: Deadline | Ends
  next: Deadline | Ends
}

/**
 * Ends the reading of bodies that drip. All have the same time, so they are due in the order in which they came,
 * and one timer serves them all. A list of our own, and no Map: with thousands a second coming and going, the tables
 * that a Map leaves behind keep each other and all requests in them alive until the whole heap is collected.
 * A timer for each body made submissions 5 % dearer (Node 20).
 */
const createDeadlines = (timeoutMs: number) => {
  const ends = {} as Ends
  ends.previous = ends
  ends.next = ends
  let timer: NodeJS.Timeout | undefined

  const remove = (deadline: Deadline) => {
    deadline.previous.next = deadline.next
    deadline.next.previous = deadline.previous
    // What is gone must not hold what came after it.
    deadline.previous = ends
    deadline.next = ends
    deadline.request.bodyDeadline = null
  }

  const expire = () => {
    timer = undefined
    const now = performance.now()
    for (let first = ends.next; 'request' in first; first = ends.next) {
      const { request, reply, dueAt } = first
      if (dueAt > now) {
        timer = setTimeout(expire, dueAt - now)
        return
      }
      remove(first)
      // The error goes where Fastify listens while it reads.
      if (reply.sent || request.raw.listenerCount('error') === 0) continue
      const late = problem('request-timeout', `The body did not arrive within ${timeoutMs} ms.`, { headers: { connection: 'close' } })
      request.raw.emit('error', late)
    }
  }

  return {
    start(request: FastifyRequest, reply: FastifyReply) {
      const last = ends.previous
      const deadline: Deadline = { request, reply, dueAt: performance.now() + timeoutMs, previous: last, next: ends }
      last.next = deadline
      ends.previous = deadline
      request.bodyDeadline = deadline
      timer ??= setTimeout(expire, timeoutMs)
    },
    end(request: FastifyRequest) {
      if (request.bodyDeadline) remove(request.bodyDeadline)
    },
    close() {
      clearTimeout(timer)
    },
  }
}

export default fp(jsonBody, { name: 'json-body', dependencies: ['problem-json'] })
