// What the requests are sent to: a started gateway with its workers, keys of every kind, and ids of what exists in it.

import { createCipheriv, createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { SMTPServer } from 'smtp-server'
import { builtinQueues } from '../../src/types/queue-name.js'
import { signLarkCallback } from '../../src/vendors/lark/callback.js'
import { signTencentCallback } from '../../src/vendors/tencent-meeting/callback.js'
import { startGateway } from '../helpers/start-gateway.js'
import { document, type Operation, type Schema } from './document.js'
import type { Caller, Choice, Plan } from './requests.js'
import type { WireAnswer, WireRequest } from './wire.js'

const larkKey = 'lark-encrypt-key'
const larkToken = 'lark-verification-token'
const tencentToken = 'tencent-webhook-token'

/** Limits that a fuzzer would reach at once; waits that it has no time for. */
const settings = {
  WORKERS_ENABLED: 'true',
  QUEUE_CONCURRENCY_DEFAULT: '4',
  RATE_LIMIT_MAX: '1000000000',
  MAX_EVENT_LOOP_DELAY_MS: '0',
  MAX_WAIT_MS: '50',
  SCHEDULES_MAX: '25',
  SHUTDOWN_GRACE_MS: '0',
  MAIL_FROM: 'Jobgate <no-reply@example.com>',
  LARK_ENCRYPT_KEY: larkKey,
  LARK_VERIFICATION_TOKEN: larkToken,
  TENCENT_MEETING_WEBHOOK_TOKEN: tencentToken,
  DATA_ENCRYPTION_KEY: Buffer.alloc(32, 7).toString('base64'),
}

/** A mail server on loopback that forgets what it gets. */
const startMailServer = async () => {
  const server = new SMTPServer({
    authOptional: true,
    disabledCommands: ['STARTTLS'],
    onData(stream, _session, done) {
      stream.resume()
      stream.on('end', () => done())
    },
  })
  // Clients that go away are no concern of its.
  server.on('error', () => {})
  server.listen(0, '127.0.0.1')
  await once(server.server, 'listening')
  const { port } = server.server.address() as AddressInfo
  return { url: `smtp://127.0.0.1:${port}`, close: () => new Promise<void>((resolve) => server.close(() => resolve())) }
}

type Gateway = Awaited<ReturnType<typeof startGateway>>

const poolSizeMax = 100

/** The latest that were seen, and one of them for every number. */
const createPool = <T>(fallback: T) => {
  const items: T[] = []
  const seen = new Set<T>()
  return {
    add(item: T) {
      if (seen.has(item)) return
      seen.add(item)
      items.push(item)
      if (items.length > poolSizeMax) seen.delete(items.shift() as T)
    },
    remove(item: T) {
      if (seen.delete(item)) items.splice(items.indexOf(item), 1)
    },
    /** Small numbers give the latest. */
    pick: (at: number): T => items.at(-1 - (at % Math.max(1, items.length))) ?? fallback,
  }
}

const jobTypes = (document.components.schemas['JobSubmission']?.oneOf ?? []).flatMap(({ $ref = '' }) => {
  const { properties } = document.components.schemas[$ref.replace('#/components/schemas/', '')] as Schema
  return (properties?.['type']?.enum ?? []) as string[]
})
/** A job type that was registered over HTTP, in a queue of its own, and how many of its jobs wait to be leased. */
const ownType = 'own-type'
const ownJobs = 1000
const ownDefinition = {
  description: 'Whatever is made up.',
  data: {
    type: 'object',
    properties: {
      text: { type: 'string', maxLength: 100, pattern: '^[^<]*$' },
      secret: { type: 'string', maxLength: 100, 'x-sensitive': true },
      list: { type: 'array', items: { type: 'integer' }, maxItems: 10 },
      map: { type: 'object', additionalProperties: { type: 'number' }, maxProperties: 10 },
    },
    additionalProperties: false,
  },
  example: { text: 'x' },
  // Leases that are taken at the start last until the end.
  defaults: { timeoutMs: 86_400_000 },
  runs: { by: 'pull' },
}
/** Comes and goes. */
const spareType = 'spare-type'
const typesFor: Readonly<Record<string, readonly string[]>> = { registerJobType: [ownType, spareType], deleteJobType: [spareType] }
const scheduleNames = Array.from({ length: 30 }, (_, index) => `schedule-${index}`)
const templateNames = ['verification', 'password-reset', 'notification', 'meeting-invitation', 'meeting-reminder']
const queuePrefixes: Readonly<Record<string, string>> = { meet: 'meeting', mail: 'email', ext: 'external-api', 'own-type': 'own-type' }

const pickOf = <T>(items: readonly T[], at: number): T => items[at % items.length] as T

export const openWorld = async () => {
  const mail = await startMailServer()
  const gateway = await startGateway({ ...settings, SMTP_URL: mail.url })
  const close = async (): Promise<number | null> => {
    const status = await gateway.close()
    await mail.close()
    return status
  }
  try {
    return { gateway, close, ...(await furnish(gateway)) }
  } catch (error) {
    await close()
    throw error
  }
}

/** Keys of every kind, and what is known to exist. */
const furnish = async (gateway: Gateway) => {
  const issue = async (body: object): Promise<{ key: string; apiKey: { id: string } }> => {
    const answer = await fetch(`${gateway.url}/admin/api-keys`, {
      method: 'POST',
      headers: { authorization: `Bearer ${gateway.key}`, 'content-type': 'application/json' },
      body: JSON.stringify({ name: 'Fuzzer', ...body }),
    })
    if (answer.status !== 201) throw new Error(`no key was issued: ${answer.status} ${await answer.text()}`)
    return (await answer.json()) as { key: string; apiKey: { id: string } }
  }
  const clientScopes = ['jobs:submit', 'jobs:read', 'jobs:manage']
  const revoked = await issue({ scopes: clientScopes })
  await fetch(`${gateway.url}/admin/api-keys/${revoked.apiKey.id}`, {
    method: 'DELETE',
    headers: { authorization: `Bearer ${gateway.key}` },
  })
  const registered = await fetch(`${gateway.url}/v1/job-types/${ownType}`, {
    method: 'PUT',
    headers: { authorization: `Bearer ${gateway.key}`, 'content-type': 'application/json' },
    body: JSON.stringify(ownDefinition),
  })
  if (registered.status !== 201) throw new Error(`no job type was registered: ${registered.status} ${await registered.text()}`)
  const submitted = await fetch(`${gateway.url}/v1/jobs/batch`, {
    method: 'POST',
    headers: { authorization: `Bearer ${gateway.key}`, 'content-type': 'application/json' },
    body: JSON.stringify({ items: Array.from({ length: ownJobs }, () => ({ type: ownType, data: ownDefinition.example })) }),
  })
  if (submitted.status !== 207) throw new Error(`no jobs of it were accepted: ${submitted.status} ${await submitted.text()}`)
  const secondMs = 1000
  const keys: Readonly<Record<Caller, string | null>> = {
    admin: gateway.key,
    client: (await issue({ scopes: clientScopes })).key,
    submit: (await issue({ scopes: ['jobs:submit'] })).key,
    read: (await issue({ scopes: ['jobs:read'] })).key,
    manage: (await issue({ scopes: ['jobs:manage'] })).key,
    work: (await issue({ scopes: ['work'] })).key,
    types: (await issue({ scopes: clientScopes, types: ['send-sms', 'analyze-meeting-content'] })).key,
    queues: (await issue({ scopes: clientScopes, queues: ['email'] })).key,
    other: (await issue({ scopes: ['admin'], tenant: 'other' })).key,
    expired: (await issue({ scopes: ['admin'], expiresAt: new Date(Date.now() + secondMs).toISOString() })).key,
    revoked: revoked.key,
    forged: `jg_${revoked.apiKey.id}_${'A'.repeat(43)}`,
    garbage: 'x',
    none: null,
  }

  const jobs = createPool('mail_AAAAAAAAAAAAAAAAAAAAAA')
  const operations = createPool(`op_${'0'.repeat(32)}`)
  const leases = createPool('own-type_AAAAAAAAAAAAAAAAAAAAAA.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAA')
  const workers = createPool('absent')
  const held = await fetch(`${gateway.url}/v1/leases`, {
    method: 'POST',
    headers: { authorization: `Bearer ${gateway.key}`, 'content-type': 'application/json' },
    body: JSON.stringify({ worker: 'fuzzer', types: [ownType], max: poolSizeMax, waitMs: 0, leaseMs: 3_600_000 }),
  })
  if (held.status !== 200) throw new Error(`no jobs were leased: ${held.status} ${await held.text()}`)
  for (const { lease } of ((await held.json()) as { items: { lease: string }[] }).items) leases.add(lease)
  /** Keys that the requests themselves had issued: those in use here are not in it, so that none of them is revoked. */
  const spareKeys = createPool('0000000000000000')
  const cursors = new Map<string, ReturnType<typeof createPool<string>>>()
  const cursorsOf = (operation: Operation) => {
    const known = cursors.get(operation.id) ?? createPool('0')
    cursors.set(operation.id, known)
    return known
  }
  const etags = createPool('"none"')

  const existing = (operation: Operation, name: string, at: number): string => {
    if (name === 'queue') return pickOf([...builtinQueues, ownType], at)
    if (name === 'type') return pickOf(typesFor[operation.id] ?? [...jobTypes, ownType], at)
    if (name === 'version') return '1'
    if (name === 'lease') return leases.pick(at)
    if (name === 'worker') return workers.pick(at)
    if (name === 'name') return pickOf(templateNames, at)
    if (name === 'cursor') return cursorsOf(operation).pick(at)
    if (operation.template.startsWith('/v1/schedules')) return pickOf(scheduleNames, at)
    if (operation.template.startsWith('/admin/operations')) return operations.pick(at)
    if (operation.template.startsWith('/admin/api-keys')) return spareKeys.pick(at)
    return jobs.pick(at)
  }

  const toText = (operation: Operation, name: string, choice: Choice): string =>
    'raw' in choice ? choice.raw : toComponent('text' in choice ? choice.text : existing(operation, name, choice.pool))

  const toTarget = (operation: Operation, plan: Plan): string => {
    const texts = Object.fromEntries(Object.entries(plan.path).map(([name, choice]) => [name, toText(operation, name, choice)]))
    // A job is in one queue: with another one it does not exist.
    const queue = queuePrefixes[(texts['id'] ?? '').split('_')[0] as string]
    if (texts['queue'] !== undefined && queue !== undefined && plan.flavor === 'valid') texts['queue'] = queue
    const path = operation.template.replace(/\{(\w+)\}/g, (_match, name: string) => texts[name] as string)
    const query = plan.query.map(([name, choice]) => `${toComponent(name)}=${toText(operation, name, choice)}`)
    // What is sent is a request line, whatever it says.
    return `${path}${query.length > 0 ? `?${query.join('&')}` : ''}`.replace(/[\s\0]/g, '%20')
  }

  const toBody = (bytes: Buffer): Buffer => {
    if (!bytes.includes('@@job:')) return bytes
    return Buffer.from(
      bytes.toString('latin1').replace(/@@job:(\d+)@@/g, (_match, at: string) => jobs.pick(Number(at))),
      'latin1',
    )
  }

  return {
    toRequest(operation: Operation, plan: Plan): WireRequest {
      const key = operation.isPublic ? null : keys[plan.caller]
      const names = new Set(plan.headers.map(([name]) => name.toLowerCase()))
      const body = plan.body && toBody(plan.body.bytes)
      const headers: (readonly [string, string])[] = [
        ...(names.has('host') ? [] : [['Host', `127.0.0.1:${gateway.port}`] as const]),
        ...(key === null || names.has('authorization') ? [] : [['Authorization', `Bearer ${key}`] as const]),
        ...(plan.body === null || plan.body.mediaType === null ? [] : [['Content-Type', plan.body.mediaType] as const]),
        ...plan.headers.map(
          ([name, value]) => [name, name === 'If-None-Match' && value === '"x"' ? etags.pick(value.length) : value] as const,
        ),
      ]
      const request: WireRequest = {
        method: plan.method ?? operation.method,
        target: toTarget(operation, plan),
        headers,
        body,
        isChunked: plan.body?.isChunked ?? false,
      }
      return plan.flavor === 'valid' ? (completions[operation.id]?.(request) ?? request) : request
    },

    /** Keeps what an answer says to exist. */
    learn(operation: Operation, request: WireRequest, answer: WireAnswer) {
      if (answer.status >= 300 || answer.body === '' || request.method !== operation.method) return
      const etag = answer.headers['etag']
      if (etag !== undefined) etags.add(etag)
      if (answer.headers['content-type']?.includes('json') !== true) return
      for (const [id] of answer.body.matchAll(/\b(?:meet|mail|ext|own-type)_[A-Za-z0-9_-]{20,48}/g)) jobs.add(id)
      for (const [id] of answer.body.matchAll(/\bop_[0-9a-f]{32}/g)) operations.add(id)
      if (/^(?:complete|fail|release)Lease$/.test(operation.id)) leases.remove(decodeURIComponent(request.target.split('/')[3] ?? ''))
      if (operation.id === 'leaseJobs') {
        for (const { lease } of (JSON.parse(answer.body) as { items: { lease: string }[] }).items) leases.add(lease)
        workers.add((JSON.parse(request.body?.toString() ?? '{}') as { worker: string }).worker)
      }
      if (operation.id === 'issueApiKey') spareKeys.add((JSON.parse(answer.body) as { apiKey: { id: string } }).apiKey.id)
      const next = /"next":"([^"]+)"/.exec(answer.body)?.[1]
      if (next !== undefined) cursorsOf(operation).add(next)
    },
  }
}

export type World = Awaited<ReturnType<typeof openWorld>>

/** Percent-encoded; lone surrogates as the bytes they would be. */
const toComponent = (value: string): string => {
  try {
    return encodeURIComponent(value)
  } catch {
    return [...value].map((each) => (/[\ud800-\udfff]/u.test(each) ? '%ED%A0%80' : encodeURIComponent(each))).join('')
  }
}

const seal = (text: string): string => {
  const iv = randomBytes(16)
  const cipher = createCipheriv('aes-256-cbc', createHash('sha256').update(larkKey).digest(), iv)
  return Buffer.concat([iv, cipher.update(text, 'utf8'), cipher.final()]).toString('base64')
}

const secondsNow = (): string => String(Math.floor(Date.now() / 1000))
const without = ({ headers }: WireRequest, names: readonly string[]) => headers.filter(([name]) => !names.includes(name.toLowerCase()))
const tencentHeaders = (request: WireRequest, data: string): WireRequest['headers'] => {
  const timestamp = secondsNow()
  return [
    ...without(request, ['timestamp', 'nonce', 'signature']),
    ['timestamp', timestamp],
    ['nonce', 'n'],
    ['signature', signTencentCallback(tencentToken, timestamp, 'n', data)],
  ]
}

/** What no schema can state of a request that is to succeed. Those of vendors are genuine: what was made up, sealed and signed. */
const completions: Readonly<Record<string, (request: WireRequest) => WireRequest>> = {
  registerJobType: (request) => ({ ...request, body: Buffer.from(JSON.stringify(ownDefinition)) }),
  leaseJobs: (request) => {
    const asked = JSON.parse(request.body?.toString() ?? '{}') as object
    return { ...request, body: Buffer.from(JSON.stringify({ ...asked, types: [ownType], max: 1 })) }
  },
  checkTencentMeetingCallback: (request) => {
    const data = Buffer.from('check').toString('base64')
    return {
      ...request,
      target: `/v1/inbound/tencent-meeting?check_str=${encodeURIComponent(data)}`,
      headers: tencentHeaders(request, data),
    }
  },
  receiveTencentMeetingEvent: (request) => {
    const event = { event: 'meeting.end', trace_id: `t-${request.body?.length ?? 0}`, payload: [request.body?.toString('utf8') ?? ''] }
    const data = Buffer.from(JSON.stringify(event)).toString('base64')
    return { ...request, body: Buffer.from(JSON.stringify({ data })), headers: tencentHeaders(request, data) }
  },
  receiveLarkEvent: (request) => {
    const id = `e-${request.body?.length ?? 0}`
    const event = {
      header: { event_id: id, event_type: 'im.message', token: larkToken },
      event: { text: request.body?.toString('utf8') ?? '' },
    }
    const body = Buffer.from(JSON.stringify({ encrypt: seal(JSON.stringify(event)) }))
    const timestamp = secondsNow()
    const headers = [
      ...without(request, ['x-lark-signature', 'x-lark-request-timestamp', 'x-lark-request-nonce']),
      ['X-Lark-Request-Timestamp', timestamp],
      ['X-Lark-Request-Nonce', 'n'],
      ['X-Lark-Signature', signLarkCallback(timestamp, 'n', larkKey, body)],
    ] as const
    return { ...request, body, headers }
  },
}
