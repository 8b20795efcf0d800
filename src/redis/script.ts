// Calls Lua scripts that are sent often and with much in them.

import { hash } from 'node:crypto'
import { Command } from 'ioredis'
import type { RedisClient } from './connect.js'

/** Notes the connection that a command was last written to, which is the one that answers it. */
export interface Carrier {
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

/**
 * Makes a script callable: `call(keys, values)` resolves with its reply, texts in UTF-8, and rejects with the error of Redis.
 * Unlike a command of `defineCommand` it goes to the socket as bytes that are made here: a long text that was put together from
 * many pieces took Node two to five times as long, and ioredis asks for the length of every piece.
 * `safely` carries out each sending, for scripts whose writes have to be confirmed: one that is sent anew is confirmed anew.
 * It has to be told, by the `carrier`, which connection that was.
 */
export const defineScript = <Reply>(
  redis: RedisClient,
  lua: string,
  safely: <T>(write: (carrier?: Carrier) => Promise<T>) => Promise<T> = (write) => write(),
) => {
  const sha = hash('sha1', lua)
  /** Connections that have sent the text: the first call of each brings it, also to a server that has just started. */
  let loaded = new WeakSet<object>()

  const send = (keys: readonly string[], values: readonly (string | number)[], carrier?: Carrier): Promise<Reply> => {
    // What ioredis gets to see: enough to find the server of the keys, which share one slot.
    const command = new Command('evalsha', [sha, 1, keys[0] as string], { replyEncoding: 'utf8' })
    command.toWritable = (socket) => {
      if (carrier) carrier.socket = socket
      const isLoaded = loaded.has(socket)
      loaded.add(socket)
      const call = isLoaded ? ['evalsha', sha] : ['eval', lua]
      return encode([...call, String(keys.length), ...keys, ...values.map(String)])
    }
    return redis.sendCommand(command) as Promise<Reply>
  }

  return async (keys: readonly string[], values: readonly (string | number)[]): Promise<Reply> => {
    try {
      return await safely((carrier) => send(keys, values, carrier))
    } catch (error) {
      if (!(error as Error).message.startsWith('NOSCRIPT')) throw error
      // The server has lost the text although the connection stayed: it is brought anew.
      loaded = new WeakSet()
      return safely((carrier) => send(keys, values, carrier))
    }
  }
}
