// A mailbox on this machine for trying Jobgate out: takes every e-mail over SMTP, delivers none, and shows it.

import { pathToFileURL } from 'node:url'
import { simpleParser } from 'mailparser'
import { SMTPServer } from 'smtp-server'

const sizeBytesMax = 10 * 1024 * 1024

/**
 * @typedef {object} ReceivedMail
 * @property {string} from Address of the envelope.
 * @property {string[]} to Addresses of the envelope.
 * @property {string} subject
 * @property {string} text
 * @property {string} html Empty when there is none.
 * @property {string} messageId With angle brackets.
 * @property {{ filename: string, contentType: string, content: Buffer }[]} attachments
 */

/**
 * Starts the mailbox on 127.0.0.1. It asks for no login, takes any, and speaks no TLS.
 * @param {object} [options]
 * @param {number} [options.port] 0 takes a free one.
 * @param {(mail: ReceivedMail) => void} [options.onMail] Called before the sender is told that the mail was taken.
 * @returns {Promise<{ url: string, close: () => Promise<void> }>} `url` fits SMTP_URL.
 */
export const startMailbox = async ({ port = 0, onMail = () => {} } = {}) => {
  const server = new SMTPServer({
    banner: 'Jobgate mailbox',
    authOptional: true,
    disabledCommands: ['STARTTLS'],
    disableReverseLookup: true,
    size: sizeBytesMax,
    closeTimeout: 1000,
    onAuth: (auth, _session, callback) => callback(null, { user: auth.username }),
    onData(stream, session, callback) {
      receive(stream, session).then(
        (mail) => {
          // The server announces `size` and leaves it to us to hold senders to it.
          if (stream.sizeExceeded) return callback(Object.assign(new Error('the message is too large'), { responseCode: 552 }))
          onMail(mail)
          callback(null, 'taken')
        },
        () => callback(Object.assign(new Error('the message cannot be read'), { responseCode: 554 })),
      )
    },
  })
  await new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, '127.0.0.1', () => {
      server.off('error', reject)
      // A client that goes away in mid-sentence is its own business.
      server.on('error', () => {})
      resolve(undefined)
    })
  })
  const { port: taken } = /** @type {import('node:net').AddressInfo} */ (server.server.address())
  return {
    url: `smtp://127.0.0.1:${taken}`,
    close: () => new Promise((resolve) => server.close(() => resolve())),
  }
}

/**
 * @param {import('smtp-server').SMTPServerDataStream} stream
 * @param {import('smtp-server').SMTPServerSession} session
 * @returns {Promise<ReceivedMail>}
 */
const receive = async (stream, session) => {
  const mail = await simpleParser(stream)
  return {
    from: session.envelope.mailFrom ? session.envelope.mailFrom.address : '',
    to: session.envelope.rcptTo.map(({ address }) => address),
    subject: mail.subject ?? '',
    text: mail.text ?? '',
    html: mail.html || '',
    messageId: mail.messageId ?? '',
    attachments: mail.attachments.map(({ filename = '', contentType, content }) => ({ filename, contentType, content })),
  }
}

/**
 * A mail as lines for a terminal. Control characters, which could steer it, are left out.
 * @param {ReceivedMail} mail
 */
export const toLines = ({ from, to, subject, text, attachments }) =>
  [
    `── E-mail ${'─'.repeat(50)}`,
    `From:    ${from}`,
    `To:      ${to.join(', ')}`,
    `Subject: ${subject}`,
    ...attachments.map(({ filename, contentType, content }) => `Part:    ${filename || contentType} (${content.length} bytes)`),
    '',
    ...text
      .trimEnd()
      .split('\n')
      .map((line) => `  ${line}`),
    '─'.repeat(60),
  ]
    .map((line) => line.replace(/\p{Cc}/gu, ''))
    .join('\n')

const isCommand = process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href
if (isCommand) {
  const port = Number(process.argv[2] ?? 2525)
  const mailbox = await startMailbox({ port, onMail: (mail) => console.log(toLines(mail)) })
  console.log(`Receiving e-mails; set SMTP_URL=${mailbox.url}. Press Ctrl+C to stop.`)
  for (const signal of /** @type {const} */ (['SIGINT', 'SIGTERM'])) process.once(signal, () => mailbox.close())
}
