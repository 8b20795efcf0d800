// Ports of 127.0.0.1 that nobody uses.

import { once } from 'node:events'
import { createServer } from 'node:net'

/** They are free when this resolves; whoever wants them should not wait long. */
export const freePorts = async (count) => {
  const servers = Array.from({ length: count }, () => createServer().listen(0, '127.0.0.1'))
  await Promise.all(servers.map((server) => once(server, 'listening')))
  const ports = servers.map((server) => server.address().port)
  await Promise.all(servers.map((server) => once(server.close(), 'close')))
  return ports
}
