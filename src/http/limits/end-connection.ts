// Ends the connection of a client that may go on sending, without taking along the answer it has not read yet.

import type { Socket } from 'node:net'

/** How long a client may keep a connection whose answer is complete. */
const lingerMs = 2000

/**
 * Ends our side, with `answer` as its last bytes, and the whole connection once the client has ended its side, or 2 s later.
 * Closed at once, a connection with unread bytes would be reset, and the client would lose what it has not fetched.
 */
export const endConnection = (socket: Socket, answer?: string): void => {
  destroyLater(socket)
  if (answer === undefined) socket.end()
  else socket.end(answer)
}

/** Destroys a connection 2 s from now, whatever its client does. Returns a function that lets it stay. */
export const destroyLater = (socket: Socket): (() => void) => {
  const timer = setTimeout(() => socket.destroy(), lingerMs)
  const stay = () => {
    clearTimeout(timer)
    socket.off('close', stay)
  }
  socket.once('close', stay)
  return stay
}

/** Throws away what else arrives, unparsed: it is read to notice its end, and because bytes left unread would reset the connection. */
export const discardInput = (socket: Socket): void => {
  // Not within the parser that the bytes are taken from.
  process.nextTick(() => {
    socket.removeAllListeners('data')
    // Node's server takes a listener as its sign to take its parser off the connection.
    socket.on('data', () => {})
    socket.resume()
  })
}
