// Ends the connection of a client that may go on sending, without taking along the answer it has not read yet.

import type { Socket } from 'node:net'

/** How long a client may keep a connection whose answer is complete. */
const lingerMs = 2000

/**
 * Ends our side, with `answer` as its last bytes, and the whole connection once the client has ended its side, or 2 s later.
 * Closed at once, a connection with unread bytes would be reset, and the client would lose what it has not fetched.
 */
export const endConnection = (socket: Socket, answer?: string): void => {
  const timer = setTimeout(() => socket.destroy(), lingerMs)
  socket.once('close', () => clearTimeout(timer))
  if (answer === undefined) socket.end()
  else socket.end(answer)
}
