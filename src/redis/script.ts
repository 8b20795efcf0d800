// Calls Lua scripts that are sent often and with much in them.

import { hash } from 'node:crypto'
import { Command } from 'ioredis'
import type { RedisClient } from './connect.js'

/**
 * Makes a script callable: `call(keys, values)` resolves with its reply, texts in UTF-8, and rejects with the error of Redis.
 * Unlike a command of `defineCommand` it goes to the socket as bytes: a long text that was put together from many pieces
 * took Node two to five times as long.
 * `safely` carries out each sending, for scripts whose writes have to be confirmed: one that is sent anew is confirmed anew.
 */
export const defineScript = <Reply>(
  redis: RedisClient,
  lua: string,
  safely: <T>(write: () => Promise<T>) => Promise<T> = (write) => write(),
) => {
  const sha = hash('sha1', lua)
  /** Connections that have sent the text: the first call of each brings it, also to a server that has just started. */
  let loaded = new WeakSet<object>()

  const send = (args: readonly (string | number)[]): Promise<Reply> => {
    const command = new Command('evalsha', [sha, ...args], { replyEncoding: 'utf8' })
    command.toWritable = (socket) => {
      const isLoaded = loaded.has(socket)
      loaded.add(socket)
      command.name = isLoaded ? 'evalsha' : 'eval'
      command.args[0] = isLoaded ? sha : lua
      return Buffer.from(Command.prototype.toWritable.call(command, socket) as string)
    }
    return redis.sendCommand(command) as Promise<Reply>
  }

  return async (keys: readonly string[], values: readonly (string | number)[]): Promise<Reply> => {
    const args = [keys.length, ...keys, ...values]
    try {
      return await safely(() => send(args))
    } catch (error) {
      if (!(error as Error).message.startsWith('NOSCRIPT')) throw error
      // The server has lost the text although the connection stayed: it is brought anew.
      loaded = new WeakSet()
      return safely(() => send(args))
    }
  }
}
