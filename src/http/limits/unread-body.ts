// Ends connections whose request was answered before its body was read: nobody waits for a body that drips.

import type { FastifyReply, FastifyRequest } from 'fastify'
import { destroyLater, endConnection } from './end-connection.js'

/** What may still arrive of a body that nobody reads; for more, the connection is closed. */
const bodyBytesDrained = 65_536

/** Whether a request has a body, or is about to. */
export const hasBody = ({ headers }: FastifyRequest): boolean =>
  headers['transfer-encoding'] !== undefined || (headers['content-length'] !== undefined && headers['content-length'] !== '0')

/** False also for a body whose end nobody knows, such as an import. */
const isShort = ({ headers }: FastifyRequest): boolean => Number(headers['content-length']) <= bodyBytesDrained

/** Call before a request is refused: where its body has not been read, the client is told not to go on with a long one. */
export const announceEnd = (request: FastifyRequest, reply: FastifyReply): void => {
  if (request.raw.complete || !hasBody(request)) return
  const { socket } = request.raw
  if (!isShort(request)) reply.header('connection', 'close')
  // Node would destroy a connection that it closes at once, and with it what the client has not fetched.
  socket.destroySoon = () => endConnection(socket)
}

/**
 * Call when a request has been answered. Where its body has not been read, the rest of a short one may arrive within 2 s, and the
 * connection goes on. For any other, it is closed, once the client has had 2 s to fetch the response.
 */
export const endUnread = (request: FastifyRequest): void => {
  const { raw } = request
  if (raw.complete || !hasBody(request)) return
  const { socket } = raw
  raw.resume()
  if (!socket.writable) return
  if (isShort(request)) raw.once('end', destroyLater(socket))
  else endConnection(socket)
}
