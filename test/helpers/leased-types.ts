// Job types that nobody runs here, and a program that leases their jobs over HTTP.

import { Type } from '@sinclair/typebox'
import type { LightMyRequestResponse } from 'fastify'
import type { JobType } from '../../src/types/definition.js'
import type { TestApp } from './build-test-app.js'

/** A type whose jobs are leased; its result has a `width`. */
export const leasedType = (name = 'resize-image', more: Partial<JobType> = {}): JobType => ({
  name,
  queue: name,
  description: `Leased: ${name}.`,
  data: Type.Object(
    { label: Type.String({ maxLength: 1_000_000 }), secret: Type.Optional(Type.String({ maxLength: 100, 'x-sensitive': true })) },
    { additionalProperties: false },
  ),
  result: Type.Object({ width: Type.Integer({ minimum: 1 }) }, { additionalProperties: false }),
  example: { label: 'example' },
  defaults: { attempts: 3, backoff: { type: 'fixed', delayMs: 10 }, priority: 'normal', timeoutMs: 60_000 },
  requires: [],
  ...more,
})

export interface LeaseItem {
  readonly lease: string
  readonly expiresAt: string
  readonly checkpoint: unknown
  readonly job: Record<string, unknown> & { id: string; data: { label: string; secret?: string }; attempts: { made: number; max: number } }
}

/** A program that leases jobs of `types` through one gateway. */
export const createWorker = (
  test: TestApp,
  { worker = 'w1', types = ['resize-image'], key }: { worker?: string; types?: string[]; key?: string } = {},
) => {
  const post = (path: string, payload: object, headers: Record<string, string> = {}): Promise<LightMyRequestResponse> =>
    test.request({ method: 'POST', url: `/v1/leases${path}`, payload, headers, ...(key === undefined ? {} : { key }) })
  const ask = (more: object = {}, headers: Record<string, string> = {}) => post('', { worker, types, ...more }, headers)
  return {
    ask,
    /** Leases jobs, waiting for the first. */
    async lease(more: object = {}, headers: Record<string, string> = {}): Promise<LeaseItem[]> {
      const answer = await ask({ waitMs: 20_000, ...more }, headers)
      if (answer.statusCode !== 200) throw new Error(`${answer.statusCode}: ${answer.body}`)
      return answer.json().items
    },
    beat: (leases: object[]) => post('/heartbeat', { worker, leases }),
    settle: (...items: object[]) => post('/settle', { items }),
    one: (lease: string, act: 'heartbeat' | 'complete' | 'fail' | 'release', payload: object = {}) => post(`/${lease}/${act}`, payload),
  }
}

/** Submits a job of a leased type. */
export const submitLeased = async (test: TestApp, label: string, more: object = {}, type = 'resize-image'): Promise<string> => {
  const answer = await test.submit({ type, data: { label }, ...more })
  if (answer.statusCode !== 202) throw new Error(`${answer.statusCode}: ${answer.body}`)
  return answer.json().id
}

export const read = async (test: TestApp, id: string) => (await test.request({ method: 'GET', url: `/v1/jobs/${id}` })).json()

/** Lets the lease of a job run out now. */
export const expire = async ({ services }: TestApp, id: string): Promise<void> => {
  const queue = id.slice(0, id.indexOf('_'))
  await services.redis.request.pexpire(`{jobgate}:${queue}:${id}:lock`, 1)
}
