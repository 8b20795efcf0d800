// Talks to a gateway over real, kept connections, as its clients do.

import { Pool } from 'undici'
import { adminKey } from './start-probe-process.js'
import type { TestScope } from './start-redis.js'

/** A job or a problem, as the gateway answers. */
export interface Answer {
  readonly status: number
  readonly headers: Record<string, string | string[] | undefined>
  // biome-ignore lint/suspicious/noExplicitAny: whatever the test expects of it.
  readonly body: any
}

const terminalStates = new Set(['completed', 'failed', 'cancelled'])

/** Requests beyond `connections` wait for a free one. Closed when the test ends. */
export const createClient = (t: TestScope, url: string, { connections = 16 }: { connections?: number } = {}) => {
  const pool = new Pool(url, { connections })
  t.after(() => pool.destroy())

  const send = async (
    method: 'GET' | 'PUT' | 'POST' | 'DELETE',
    path: string,
    body?: object,
    headers: Record<string, string> = {},
  ): Promise<Answer> => {
    const answer = await pool.request({
      method,
      path,
      headers: { authorization: `Bearer ${adminKey}`, ...(body ? { 'content-type': 'application/json' } : {}), ...headers },
      body: body ? JSON.stringify(body) : null,
    })
    const text = await answer.body.text()
    return { status: answer.statusCode, headers: answer.headers, body: text === '' ? null : JSON.parse(text) }
  }
  return {
    get: (path: string, headers?: Record<string, string>) => send('GET', path, undefined, headers),
    remove: (path: string) => send('DELETE', path),
    put: (path: string, body: object) => send('PUT', path, body),
    post: (path: string, body?: object, headers?: Record<string, string>) => send('POST', path, body, headers),
    /** POSTs a probe job, under an idempotency key if one is given. */
    submit: (type: string, label: string, { key, ...more }: { key?: string; options?: object; prefer?: string } = {}) => {
      const { prefer, ...rest } = more
      return send(
        'POST',
        '/v1/jobs',
        { type, data: { label }, ...rest },
        {
          ...(key === undefined ? {} : { 'idempotency-key': `"${key}"` }),
          ...(prefer === undefined ? {} : { prefer }),
        },
      )
    },
    /** Reads a job once it has finished. */
    finished: async (id: string) => {
      for (;;) {
        const { status, body } = await send('GET', `/v1/jobs/${id}?waitMs=20000`)
        if (status !== 200 || terminalStates.has(body.state)) return body
      }
    },
  }
}

export type Client = ReturnType<typeof createClient>
