// A server on loopback that hands out recordings well, badly or never, and remembers every connection and request.

import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo, Socket } from 'node:net'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'

/** `size` bytes that differ from place to place, made chunk by chunk. */
export function* recordingBytes(size: number): Generator<Buffer> {
  const block = Buffer.alloc(65_536)
  for (let at = 0, index = 0; at < size; at += block.length, index += 1) {
    const chunk = Buffer.alloc(Math.min(block.length, size - at), index % 251)
    if (chunk.length >= 4) chunk.writeUInt32BE(index)
    yield chunk
  }
}

export type SourceHandler = (request: IncomingMessage, response: ServerResponse) => void

/** Answers from `routes`, by path without query; anything else is 404. Closes with the test. */
export const startSourceServer = async (
  t: { after(close: () => unknown): unknown },
  routes: Readonly<Record<string, SourceHandler>>,
  tls?: { key: string; cert: string },
) => {
  const requests: string[] = []
  const sockets = new Set<Socket>()
  let connections = 0
  const handle: SourceHandler = (request, response) => {
    requests.push(request.url ?? '')
    const route = routes[(request.url ?? '').split('?')[0] ?? '']
    if (route) route(request, response)
    else response.writeHead(404).end()
  }
  const server = tls ? createTlsServer(tls, handle) : createServer(handle)
  server.on('connection', (socket: Socket) => {
    connections += 1
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  t.after(async () => {
    for (const socket of sockets) socket.destroy()
    server.close()
    await once(server, 'close')
  })
  return {
    port,
    url: `http${tls ? 's' : ''}://127.0.0.1:${port}`,
    requests,
    connections: () => connections,
    /** Connections that are open now. */
    open: () => sockets.size,
  }
}

/** Sends chunks one by one, minding back-pressure, and ends the answer; a client that goes away is no fault. */
export const stream = (response: ServerResponse, chunks: Iterable<Buffer>): void => {
  pipeline(Readable.from(chunks), response).catch(() => response.destroy())
}
