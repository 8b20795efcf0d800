// Ends connections whose request was answered before its body was read: nobody waits for a body that drips.

import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { destroyLater, endConnection } from './end-connection.js'

/** What may still arrive of a body that nobody reads; for more, the connection is closed. */
const bodyBytesDrained = 65_536

/** Whether a request has a body, or is about to. */
export const hasBody = ({ headers }: FastifyRequest): boolean =>
  headers['transfer-encoding'] !== undefined || (headers['content-length'] !== undefined && headers['content-length'] !== '0')

/** False also for a body whose end nobody knows, such as an import. */
const isShort = ({ headers }: FastifyRequest): boolean => Number(headers['content-length']) <= bodyBytesDrained

/**
 * The rest of a short body may arrive within 2 s of the response, and the connection goes on. For any other, the connection
 * is closed, once the client has had 2 s to fetch the response.
 */
const unreadBody = async (app: FastifyInstance) => {
  app.addHook('onSend', (request, reply, payload, done) => {
    // A response that is no refusal may begin while its body is read, as that of an import does.
    if (!request.raw.complete && reply.statusCode >= 400 && hasBody(request)) prepareEnd(request, reply)
    done(null, payload)
  })
  app.addHook('onResponse', (request, _reply, done) => {
    if (!request.raw.complete && hasBody(request)) endUnread(request)
    done()
  })
}

const prepareEnd = (request: FastifyRequest, reply: FastifyReply): void => {
  const { socket } = request.raw
  if (!isShort(request)) reply.header('connection', 'close')
  // Node would destroy a connection that it closes at once, and with it what the client has not fetched.
  socket.destroySoon = () => endConnection(socket)
}

const endUnread = (request: FastifyRequest): void => {
  const { raw } = request
  const { socket } = raw
  raw.resume()
  if (!socket.writable) return
  if (isShort(request)) raw.once('end', destroyLater(socket))
  else endConnection(socket)
}

export default fp(unreadBody, { name: 'unread-body' })
