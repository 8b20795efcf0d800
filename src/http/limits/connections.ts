// Limits of each connection, whatever is asked over it: how many there are, what one has in work, and how long a response stays unread.

import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import { openDuty } from '../../runtime/duty.js'
import { createThrottledLog } from '../../runtime/throttled-log.js'
import { boundPipelining } from './pipelining.js'
import { createUnreadLook } from './unread-responses.js'

export interface ConnectionsOptions {
  /** A client that takes nothing of a response that is ready for it loses its connection after this time. */
  readonly unreadMs: number
}

/** Connections beyond this many are refused by the operating system's queue rather than by memory. */
const connectionsMax = 10_000
/** In the time that a response may stay unread, it is looked at so often. */
const looks = 5

/** Register it first. */
const connections = async (app: FastifyInstance, { unreadMs }: ConnectionsOptions) => {
  const { server, log } = app
  server.maxConnections = connectionsMax

  const noteCut = createThrottledLog((remoteAddress: string | undefined, unlogged) => {
    log.warn({ remoteAddress, unlogged }, 'closed a connection that had too many requests waiting')
  })
  boundPipelining(server, (socket) => noteCut(socket.remoteAddress))

  const noteUnread = createThrottledLog((remoteAddress: string | undefined, unlogged) => {
    log.warn({ remoteAddress, unlogged }, 'closed a connection whose client did not read its response')
  })
  const duty = openDuty(
    {
      name: 'unread-responses',
      everyMs: Math.ceil(unreadMs / looks),
      unref: true,
      run: createUnreadLook(server, unreadMs, (socket) => {
        noteUnread(socket.remoteAddress)
        socket.destroy()
      }),
      failure: 'looking for unread responses failed',
    },
    { log },
  )
  app.addHook('onClose', async () => duty.close())
}

export default fp(connections, { name: 'connections' })
