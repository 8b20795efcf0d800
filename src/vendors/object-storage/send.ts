// Sends the requests of one upload: conditions where the object comes into being, an abort that leaves nothing behind.

import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  PutObjectCommand,
  type S3Client,
  UploadPartCommand,
} from '@aws-sdk/client-s3'
import { toStoreVerdict } from './failure.js'

type Finish = PutObjectCommand | CompleteMultipartUploadCommand

export interface SendOptions {
  readonly client: S3Client
  readonly signal: AbortSignal
  /** `if-none-match` is spoken by the client itself, other names are added as a header of value `true`; null lets overwrite. */
  readonly noOverwriteHeader: string | null
  /** Whether the key is taken; asked only where the store does not know conditions. */
  isTaken(): Promise<boolean>
  /** Told every error; `finishing` when it came from the request that creates the object. */
  failed(error: unknown, finishing: boolean): void
  /** The parts of a failed upload could not be removed. */
  leftOver(): void
}

const cleanUpTimeoutMs = 15_000

/** Stands in for the client's `send` during one upload. */
export const createSend = ({ client, signal, noOverwriteHeader, isTaken, failed, leftOver }: SendOptions) => {
  const send = client.send.bind(client) as (command: object, options: { abortSignal?: AbortSignal }) => Promise<unknown>

  const cleanUp = async (command: object): Promise<unknown> => {
    try {
      return await send(command, { abortSignal: AbortSignal.timeout(cleanUpTimeoutMs) })
    } catch {
      // Must not mask the error that made the clean-up necessary.
      leftOver()
      return {}
    }
  }

  const finish = async (command: Finish): Promise<unknown> => {
    try {
      return await send(noOverwriteHeader === null ? command : toConditional(command, noOverwriteHeader), {})
    } catch (error) {
      // Not every store knows the condition: Swift returns 501 for a small object with If-None-Match.
      if (noOverwriteHeader === null || toStoreVerdict(error).status !== 501) throw error
      if (await isTaken()) throw Object.assign(new Error('The object key is taken'), { $metadata: { httpStatusCode: 412 } })
      return await send(toPlain(command), {})
    }
  }

  return async (command: object): Promise<unknown> => {
    if (command instanceof AbortMultipartUploadCommand) return cleanUp(command)
    const finishing = command instanceof PutObjectCommand || command instanceof CompleteMultipartUploadCommand
    let sent = false
    try {
      signal.throwIfAborted()
      sent = true
      // An abort must not overtake the answers of the others: an upload whose id is unknown cannot be removed,
      // an object that may or may not exist is worse than one that does.
      return finishing ? await finish(command) : await send(command, command instanceof UploadPartCommand ? { abortSignal: signal } : {})
    } catch (error) {
      failed(error, finishing && sent)
      throw error
    }
  }
}

/** A copy, with an input of its own. */
const toPlain = (command: Finish) =>
  command instanceof PutObjectCommand
    ? new PutObjectCommand({ ...command.input })
    : new CompleteMultipartUploadCommand({ ...command.input })

const toConditional = (command: Finish, header: string) => {
  const conditional = toPlain(command)
  if (header === 'if-none-match') {
    conditional.input.IfNoneMatch = '*'
    return conditional
  }
  const stack = conditional.middlewareStack as PutObjectCommand['middlewareStack']
  stack.add(
    (next) => (args) => {
      const { headers } = args.request as { headers: Record<string, string> }
      headers[header] = 'true'
      return next(args)
    },
    // Before the signature is made, so that it is signed too.
    { step: 'build', name: 'noOverwrite' },
  )
  return conditional
}
