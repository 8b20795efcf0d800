// Talks HTTP by hand, for requests that no client library would send.

import { connect, type Socket } from 'node:net'

/** Opens a connection; `answer` resolves with everything the server sent until it closed the connection. */
export const rawConnection = (port: number): { socket: Socket; answer: Promise<string> } => {
  const socket = connect(port, '127.0.0.1')
  const answer = new Promise<string>((resolve) => {
    let text = ''
    socket.setEncoding('utf8')
    socket.on('data', (chunk) => {
      text += chunk
    })
    // A reset after the answer is an end too.
    socket.on('error', () => socket.destroy())
    socket.on('close', () => resolve(text))
  })
  return { socket, answer }
}

/** Status, headers in lower case and body of one answer with Content-Length or until the end. */
export const readAnswer = (text: string) => {
  const [head = '', body = ''] = text.split('\r\n\r\n', 2)
  const [first = '', ...lines] = head.split('\r\n')
  const headers = Object.fromEntries(
    lines.map((line) => [line.slice(0, line.indexOf(':')).toLowerCase(), line.slice(line.indexOf(':') + 1).trim()]),
  )
  return { status: Number(first.split(' ')[1]), headers: headers as Record<string, string>, body }
}
