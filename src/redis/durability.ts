// Makes a write count only once it is where DURABILITY wants it, and says so when this Redis cannot do that.

import { Cluster, Command } from 'ioredis'
import type { Logger } from 'pino'
import type { Config } from '../config/config.js'
import { openDuty } from '../runtime/duty.js'
import type { RedisClient } from './connect.js'
import { unconfirmed, unfit } from './failures.js'
import { noteConnection } from './ioredis-patches.js'
import type { SentOn } from './script.js'

/** Redis answers WAIT and WAITAOF with what it has after this long. */
const confirmationTimeoutMs = 800
/** How often it is looked at again whether the server writes to its disk in time: an operator can change that at any moment. */
const checkIntervalMs = 5000
/** A start waits this long for the first check. */
const firstCheckMs = 1000

/** `waits`: each write is confirmed by a command. `always`: the server confirms none before it is on its disk. */
type Finding = 'waits' | 'always' | { readonly fault: string }

/**
 * For `fsync` and `replicated`; with `memory` there is nothing to wait for. `redis` is the connection that writes,
 * and `key` any key of those that are written: in a Cluster it tells which server to ask.
 * Looks, on every connection and every five seconds, whether a server is fit for `fsync`.
 */
export const openDurability = ({
  redis,
  key,
  durability,
  log,
}: {
  redis: RedisClient
  key: string
  durability: Exclude<Config['queues']['durability'], 'memory'>
  log: Logger
}) => {
  const call = (name: string, ...args: (string | number)[]) => sendAt(redis, key, new Command(name, args, { replyEncoding: 'utf8' }))
  /** What write and confirmation may take together; infinite where a command may wait as long as it takes. */
  const bothMsMax = (redis instanceof Cluster ? redis.options.redisOptions : redis.options)?.commandTimeout ?? Number.POSITIVE_INFINITY
  /** null while nobody has been able to check. */
  let finding: Finding | null = durability === 'replicated' ? 'waits' : null

  const check = async (): Promise<void> => {
    const found = await inspect(call)
    if (typeof found === 'object' && (typeof finding !== 'object' || finding?.fault !== found.fault)) log.error(found.fault)
    finding = found
  }
  const duty =
    durability === 'fsync'
      ? openDuty(
          {
            name: 'durability',
            everyMs: checkIntervalMs,
            unref: true,
            run: check,
            failure: 'durability not verified',
            // Whatever keeps it from looking keeps it from writing too.
            failureLevel: 'debug',
            canEnd: () => redis.status === 'ready',
          },
          { log },
        )
      : undefined
  const checkNow = (): Promise<void> | undefined => duty?.trigger()
  redis.on('ready', checkNow)

  /** Resolves once what was written on the connection `written` is safe. */
  const wait = async ({ socket: written }: SentOn, leftMs: number): Promise<void> => {
    const timeoutMs = Math.max(1, Math.floor(Math.min(confirmationTimeoutMs, leftMs)))
    const command = durability === 'fsync' ? new Command('WAITAOF', [1, 0, timeoutMs]) : new Command('WAIT', [1, timeoutMs])
    let asked: object | undefined
    noteConnection(command, (socket) => {
      asked = socket
    })
    if (leftMs < Number.POSITIVE_INFINITY) command.setTimeout(Math.max(0, leftMs))
    const reply = (await sendAt(redis, key, command).catch((error: Error) => {
      throw unconfirmed(error.message)
    })) as number | [number, number]
    if (asked !== written) throw unconfirmed('a different connection than that of the write responded')
    const confirmed = Array.isArray(reply) ? reply[0] : reply
    if (confirmed < 1) throw unconfirmed('timed out')
  }

  const fault = () => (typeof finding === 'object' && finding ? finding.fault : null)
  return {
    /** Why no write can be confirmed; null when it can be, or while that is not known. */
    fault,

    /** Resolves once the server has been looked at, or after a second. */
    async checked(): Promise<void> {
      if (finding) return
      await untilReady(redis, firstCheckMs)
      if (redis.status === 'ready') await checkNow()
    },

    /**
     * Gives what `write` gives, once it is safe. Rejects before writing when that is out of the question (refused),
     * and afterwards when too few confirm it (unknown). A server confirms what it was sent on the same connection, and nothing else:
     * when the connection was lost in between, the other one answers at once for writes that it never had.
     */
    async confirmed<T>(write: (sentOn?: SentOn) => Promise<T>): Promise<T> {
      const reason = fault()
      if (reason !== null) throw unfit(reason)
      if (finding === 'always') return write()
      const sentOn: SentOn = {}
      const startedAt = performance.now()
      // One after the other: what is refused is not waited for, and a Cluster may have the write sent elsewhere first.
      const written = await write(sentOn)
      await wait(sentOn, bothMsMax - (performance.now() - startedAt))
      return written
    },

    async close(): Promise<void> {
      redis.off('ready', checkNow)
      await duty?.close()
    },
  }
}

export type Durability = ReturnType<typeof openDurability>

/** Resolves when the client is ready, or after `deadlineMs`. */
const untilReady = (redis: RedisClient, deadlineMs: number): Promise<void> =>
  new Promise((resolve) => {
    if (redis.status === 'ready') return resolve()
    const done = () => {
      clearTimeout(timer)
      redis.off('ready', done)
      resolve()
    }
    const timer = setTimeout(done, deadlineMs)
    redis.on('ready', done)
  })

type Call = (name: string, ...args: (string | number)[]) => Promise<unknown>

/** Rejects when the server does not answer. */
const inspect = async (call: Call): Promise<Finding> => {
  const refused = await call('WAITAOF', 1, 0, 1).then(
    () => null,
    (error: Error) => error.message,
  )
  if (refused === null) return 'waits'
  if (refused.includes('appendonly is disabled'))
    return { fault: 'DURABILITY=fsync: this Redis has no append-only file; set appendonly yes' }
  if (/^NOPERM/.test(refused)) return { fault: 'DURABILITY=fsync: the Redis user is not allowed to call WAITAOF' }
  if (!/^ERR unknown command/.test(refused)) throw new Error(refused)
  const settings = await Promise.all(['appendonly', 'appendfsync'].map((name) => readSetting(call, name)))
  if (settings.join() === 'yes,always') return 'always'
  return {
    fault: `DURABILITY=fsync: this Redis has no WAITAOF; use Redis 7.2, Valkey, or appendonly yes with appendfsync always (now ${settings.join(' and ')})`,
  }
}

/** `unknown` where the user may not ask. */
const readSetting = async (call: Call, name: string): Promise<string> => {
  const reply = await call('CONFIG', 'GET', name).catch((error: Error) => {
    if (/^(?:NOPERM|ERR unknown command)/.test(error.message)) return []
    throw error
  })
  return (reply as string[])[1] ?? 'unknown'
}

/** For commands without keys: in a Cluster they go to the server that holds `key`, not to any one. */
const sendAt = (redis: RedisClient, key: string, command: Command): Promise<unknown> => {
  if (!(redis instanceof Cluster)) return redis.sendCommand(command) as Promise<unknown>
  return redis.sendCommand(command, undefined, { slot: new Command('get', [key]).getSlot() }) as Promise<unknown>
}
