// Ordinary requests of attackers who hold a key, or none.

import { setTimeout as pause } from 'node:timers/promises'
import { Pool } from 'undici'
import { attackerAddress } from './wire.js'

export interface Wanted {
  readonly method?: 'GET' | 'HEAD' | 'POST' | 'PUT' | 'DELETE' | 'PATCH' | 'OPTIONS'
  readonly path: string
  /** Sent as the bearer key. */
  readonly key?: string | undefined
  /** An object is sent as JSON; text and bytes go as they are, without a type. */
  readonly body?: object | string | Buffer | undefined
  readonly headers?: Readonly<Record<string, string>>
}

export interface Answer {
  readonly status: number
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  readonly text: string
  // biome-ignore lint/suspicious/noExplicitAny: whatever the attack expects of it.
  readonly json: any
}

const connections = 16
/** Windows of the rate limit that a request waits for. */
const patience = 5

export const createClient = (url: string, from = attackerAddress) => {
  const pool = new Pool(url, { connections, pipelining: 1, localAddress: from })
  const sendOnce = async ({ method = 'GET', path, key, body, headers = {} }: Wanted): Promise<Answer> => {
    const isJson = typeof body === 'object' && !Buffer.isBuffer(body)
    const answer = await pool.request({
      method,
      path,
      headers: {
        ...(key === undefined ? {} : { authorization: `Bearer ${key}` }),
        ...(isJson ? { 'content-type': 'application/json' } : {}),
        ...headers,
      },
      body: isJson ? JSON.stringify(body) : (body ?? null),
    })
    const text = await answer.body.text()
    return { status: answer.statusCode, headers: answer.headers, text, json: parse(text) }
  }
  return {
    /** Waits for another window when it is told to: limits are tried where they are the subject. */
    async send(wanted: Wanted): Promise<Answer> {
      for (let tries = 1; ; tries++) {
        const answer = await sendOnce(wanted)
        if (answer.status !== 429 || tries > patience) return answer
        await pause(Number(answer.headers['retry-after']) * 1000)
      }
    },
    close: () => pool.destroy(),
  }
}

export type Client = ReturnType<typeof createClient>

const parse = (text: string): unknown => {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
