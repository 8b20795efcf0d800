// A real SMTP server on loopback that keeps what it is sent, and fails on demand in the ways mail servers do.

import type { AddressInfo, Socket } from 'node:net'
import { type ParsedMail, simpleParser } from 'mailparser'
import { SMTPServer, type SMTPServerSession } from 'smtp-server'
import { eventually } from './eventually.js'

/** `silent` never answers, `drop` closes the connection, a reply refuses with its code. `text` starts with an enhanced code if it is to have one. */
export type Fault = 'silent' | 'drop' | { code: number; text?: string }

export interface Script {
  /** In place of the greeting. */
  greeting?: (connection: number) => Fault | undefined
  /** Offer STARTTLS, with the certificate for localhost that smtp-server brings. */
  starttls?: boolean
  /** Ask for this login; `fault` answers every other one. */
  login?: { user: string; pass: string; fault?: { code: number; text?: string } }
  /** In answer to MAIL FROM. */
  sender?: () => Fault | undefined
  /** In answer to RCPT TO; `count` is 1 for the first time the address is named. */
  recipient?: (address: string, count: number) => Fault | undefined
  /** After the final dot of the message; `count` counts messages from 1. */
  message?: (count: number) => Fault | undefined
  /** Greatest size of a message that is announced, in bytes. */
  sizeBytesMax?: number
}

export interface Received {
  from: string
  to: string[]
  raw: string
  mail: ParsedMail
}

/** Starts it on a free port of 127.0.0.1. */
export const startSmtpReceiver = async (script: Script = {}) => {
  /** Messages that were received up to the final dot, also those that were refused or never answered after it. */
  const received: Received[] = []
  const counts = new Map<string, number>()
  let connections = 0
  let messages = 0

  const socketOf = (session: SMTPServerSession): Socket | undefined =>
    [...server.connections].map((each) => each as unknown as { id: string; _socket: Socket }).find(({ id }) => id === session.id)?._socket

  const answer = (fault: Fault | undefined, session: SMTPServerSession, callback: (error?: Error | null) => void): void => {
    if (fault === 'silent') return
    if (fault === 'drop') {
      socketOf(session)?.destroy()
      return
    }
    callback(fault ? toReply(fault) : null)
  }

  const server = new SMTPServer({
    authOptional: script.login === undefined,
    ...(script.starttls === true ? {} : { disabledCommands: ['STARTTLS'] }),
    ...(script.sizeBytesMax === undefined ? {} : { size: script.sizeBytesMax }),
    allowInsecureAuth: true,
    hideENHANCEDSTATUSCODES: true,
    disableReverseLookup: true,
    closeTimeout: 200,
    onConnect(session, callback) {
      connections += 1
      answer(script.greeting?.(connections), session, callback)
    },
    onAuth(auth, _session, callback) {
      const { user, pass, fault = { code: 535 } } = script.login ?? { user: auth.username, pass: auth.password }
      if (auth.username === user && auth.password === pass) callback(null, { user })
      else callback(toReply(fault))
    },
    onMailFrom: (_address, session, callback) => answer(script.sender?.(), session, callback),
    onRcptTo({ address }, session, callback) {
      const count = (counts.get(address) ?? 0) + 1
      counts.set(address, count)
      answer(script.recipient?.(address, count), session, callback)
    },
    async onData(stream, session, callback) {
      const raw = await readAll(stream).catch(() => null)
      // The client went away in the middle of the message.
      if (raw === null) return
      const { mailFrom, rcptTo } = session.envelope
      received.push({
        from: mailFrom ? mailFrom.address : '',
        to: rcptTo.map(({ address }) => address),
        raw: raw.toString(),
        mail: await simpleParser(raw),
      })
      messages += 1
      answer(stream.sizeExceeded ? { code: 552, text: '5.3.4 too big' } : script.message?.(messages), session, callback)
    },
  })
  // Clients that go away are part of the tests.
  server.on('error', () => {})
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', () => resolve()))
  const { port } = server.server.address() as AddressInfo

  return {
    port,
    url: `smtp://127.0.0.1:${port}`,
    received,
    connections: () => connections,
    /** How often RCPT TO has named the address. */
    attempts: (address: string) => counts.get(address) ?? 0,
    /** Resolves once that many messages have come, and returns them. */
    async waitFor(count: number): Promise<Received[]> {
      await eventually(`${count} messages`, () => received.length >= count)
      return received
    },
    close: () => new Promise<void>((resolve) => server.close(() => resolve())),
  }
}

const readAll = async (stream: AsyncIterable<unknown>): Promise<Buffer> => {
  const chunks: Buffer[] = []
  for await (const chunk of stream) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks)
}

const toReply = ({ code, text }: { code: number; text?: string }): Error => Object.assign(new Error(text ?? 'no'), { responseCode: code })
