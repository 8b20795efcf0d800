// Finds connections whose client takes nothing of a response that is ready for it: its file, stream or import stays open meanwhile.

import type { Server } from 'node:http'
import type { Socket } from 'node:net'

/** What the operating system had taken of a connection's responses when it was last seen, and since when that is so. */
interface Standstill {
  readonly taken: number
  readonly since: number
}

/** Node has no public name for what it has handed over, and what of that waits (Node 20 to 24). */
type Handle = { readonly bytesWritten: number; readonly writeQueueSize: number } | null | undefined

const countTaken = (socket: Socket): number => {
  const handle = (socket as unknown as { _handle: Handle })._handle
  return handle ? handle.bytesWritten - handle.writeQueueSize : Number.NaN
}

/**
 * In: `unreadMs`, for which a client may take nothing. Out: a function to call again and again; it gives each connection
 * that has gone beyond to `onUnread`, which is to close it.
 */
export const createUnreadLook = (server: Server, unreadMs: number, onUnread: (socket: Socket) => void): (() => void) => {
  const open = new Set<Socket>()
  let seen = new Map<Socket, Standstill>()
  server.on('connection', (socket) => {
    open.add(socket)
    socket.once('close', () => open.delete(socket))
  })

  return () => {
    const now = performance.now()
    const before = seen
    seen = new Map()
    for (const socket of open) {
      if (socket.writableLength === 0) continue
      const taken = countTaken(socket)
      const last = before.get(socket)
      if (last?.taken !== taken) seen.set(socket, { taken, since: now })
      else if (now - last.since >= unreadMs) onUnread(socket)
      else seen.set(socket, last)
    }
  }
}
