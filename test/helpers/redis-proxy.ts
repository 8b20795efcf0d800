// Stands between a client and Redis and fails on purpose: slow, silent, cut off, or refusing.

import { mkdtemp, rm } from 'node:fs/promises'
import { connect, createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestScope } from './start-redis.js'

/** Where the real server listens: a socket path, or a port of this machine. */
export type ProxyTarget = { path: string } | { port: number }

/**
 * Listens on a free loopback port (`port`) and, for clients that want one, on a unix socket (`path`); closed with the test.
 * Connections to the target are made per client, so what the proxy does to one is seen by that client alone.
 */
export const startRedisProxy = async (t: TestScope, { target }: { target: ProxyTarget }) => {
  const dir = await mkdtemp(join(tmpdir(), 'jgp-'))
  const path = join(dir, 'proxy.sock')
  const pairs = new Set<{ client: Socket; server: Socket }>()
  const timers = new Set<NodeJS.Timeout>()
  let delayMs = 0
  let silent = false
  let accepting = true
  let towards = target
  let stopPoint: { text: string; reached: () => void } | undefined

  const onConnection = (client: Socket) => {
    if (!accepting) {
      reset(client)
      return
    }
    const server = connect(towards)
    const pair = { client, server }
    pairs.add(pair)
    const end = () => {
      pairs.delete(pair)
      client.destroy()
      server.destroy()
    }
    for (const socket of [client, server]) {
      socket.on('error', end)
      socket.on('close', end)
    }
    let held = false
    client.on('data', (chunk) => {
      if (stopPoint && chunk.includes(stopPoint.text)) {
        held = true
        stopPoint.reached()
        stopPoint = undefined
      }
      if (!held) server.write(chunk)
    })
    server.on('data', (chunk) => {
      if (silent) return
      if (delayMs === 0) {
        client.write(chunk)
        return
      }
      const timer = setTimeout(() => {
        timers.delete(timer)
        client.write(chunk)
      }, delayMs)
      timers.add(timer)
    })
  }

  const cut = () => {
    for (const { client, server } of [...pairs]) {
      reset(client)
      server.destroy()
    }
  }
  const servers = [createServer(onConnection), createServer(onConnection)]
  const [tcp, unix] = servers as [(typeof servers)[0], (typeof servers)[0]]
  await new Promise<void>((resolve) => tcp.listen(0, '127.0.0.1', resolve))
  await new Promise<void>((resolve) => unix.listen(path, resolve))
  t.after(async () => {
    for (const timer of timers) clearTimeout(timer)
    cut()
    await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))))
    await rm(dir, { recursive: true, force: true })
  })

  return {
    port: (tcp.address() as { port: number }).port,
    path,
    /** Replies arrive this much later; 0 ends it. */
    delay(ms: number) {
      delayMs = ms
    },
    /** Commands still reach Redis, their replies are thrown away. */
    swallowReplies(on: boolean) {
      silent = on
    },
    /**
     * The first command that holds `text`, and whatever its client sends on that connection afterwards, never reach Redis.
     * Resolves when it has come; all that the client had been answered before is done.
     */
    holdBefore: (text: string) =>
      new Promise<void>((reached) => {
        stopPoint = { text, reached }
      }),
    /** Resets every open connection. */
    cut,
    /** New connections lead to another server. */
    turnTo(other: ProxyTarget) {
      towards = other
    },
    /** false: new connections are reset at once. */
    accept(on: boolean) {
      accepting = on
    },
    /** How many clients are connected. */
    get connections() {
      return pairs.size
    },
  }
}

export type RedisProxy = Awaited<ReturnType<typeof startRedisProxy>>

/** Only TCP knows a reset; a unix socket is closed instead. */
const reset = (socket: Socket) => {
  if (socket.remoteAddress) socket.resetAndDestroy()
  else socket.destroy()
}
