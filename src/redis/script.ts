// The one way to call Lua in Redis. Each script states its purpose, KEYS, ARGV and what it returns.

import { hash } from 'node:crypto'
import type { RedisClient } from './connect.js'
import { createEncodedCommand } from './ioredis-patches.js'

/** The connection that a command was last sent on, which is the one that answers it. */
export interface SentOn {
  socket?: object
}

/** A command in Redis's protocol (RESP2, an array of bulk strings); `lengthOf` gives a text's length in bytes. */
const frame = (parts: readonly string[], lengthOf: (text: string) => number): string => {
  let text = `*${parts.length}\r\n`
  for (const part of parts) text += `$${lengthOf(part)}\r\n${part}\r\n`
  return text
}

/** The bytes of a command. Nearly always all of it is ASCII, and then counting the bytes once tells that every length was right. */
const encode = (parts: readonly string[]): Buffer => {
  const text = frame(parts, (part) => part.length)
  const bytes = Buffer.from(text)
  return bytes.length === text.length ? bytes : Buffer.from(frame(parts, Buffer.byteLength))
}

/** `keys` name at least one key, and share a slot. Rejects with the error of Redis. */
export type RunScript<Reply> = (keys: readonly string[], values: readonly (string | number)[]) => Promise<Reply>

/**
 * Makes a script callable on one client, also that of a Cluster. Texts of its reply are UTF-8.
 * The first call on each connection brings the text (EVAL), later ones its digest (EVALSHA). The call goes to the socket as bytes
 * that are made here: see `createEncodedCommand`.
 * `confirmed` carries out each sending, for scripts whose writes have to be safer than in memory: one that is resent is confirmed
 * again. It learns from `sentOn` which connection that was.
 */
export const defineScript = <Reply>(
  redis: RedisClient,
  lua: string,
  confirmed: <T>(write: (sentOn?: SentOn) => Promise<T>) => Promise<T> = (write) => write(),
): RunScript<Reply> => {
  const sha = hash('sha1', lua)
  /** Connections that have sent the text: the first call of each brings it, also to a server that has just started. */
  let loaded = new WeakSet<object>()

  const send = (keys: readonly string[], values: readonly (string | number)[], sentOn?: SentOn): Promise<Reply> => {
    const command = createEncodedCommand('evalsha', [sha, 1, keys[0] as string], (socket) => {
      if (sentOn) sentOn.socket = socket
      const isLoaded = loaded.has(socket)
      loaded.add(socket)
      const call = isLoaded ? ['evalsha', sha] : ['eval', lua]
      return encode([...call, String(keys.length), ...keys, ...values.map(String)])
    })
    return redis.sendCommand(command) as Promise<Reply>
  }

  return async (keys, values) => {
    try {
      return await confirmed((sentOn) => send(keys, values, sentOn))
    } catch (error) {
      if (!(error as Error).message.startsWith('NOSCRIPT')) throw error
      // The server has lost the text although the connection stayed: it is sent again.
      loaded = new WeakSet()
      return confirmed((sentOn) => send(keys, values, sentOn))
    }
  }
}
