// Calls Lua scripts that are sent often and with much in them.

import { hash } from 'node:crypto'
import { Command } from 'ioredis'
import type { RedisClient } from './connect.js'

/**
 * Makes a script callable: `call(keys, values)` resolves with its reply, texts in UTF-8, and rejects with the error of Redis.
 * Unlike a command of `defineCommand` it goes to the socket as bytes: Node takes up to five times as long for
 * a long text that was put together from many pieces.
 */
export const defineScript = <Reply>(redis: RedisClient, lua: string) => {
  const sha = hash('sha1', lua)

  const send = (name: 'evalsha' | 'eval', script: string, args: readonly (string | number)[]): Promise<Reply> => {
    const command = new Command(name, [script, ...args], { replyEncoding: 'utf8' })
    command.toWritable = (socket) => Buffer.from(Command.prototype.toWritable.call(command, socket) as string)
    return redis.sendCommand(command) as Promise<Reply>
  }

  return async (keys: readonly string[], values: readonly (string | number)[]): Promise<Reply> => {
    const args = [keys.length, ...keys, ...values]
    try {
      return await send('evalsha', sha, args)
    } catch (error) {
      // A server that has restarted knows no scripts.
      if (!(error as Error).message.startsWith('NOSCRIPT')) throw error
      return send('eval', lua, args)
    }
  }
}
