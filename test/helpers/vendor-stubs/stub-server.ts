// The HTTP side of every vendor stub: reads requests, plays scripted failures, remembers what came in.

import { createServer, type IncomingHttpHeaders, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { TestScope } from '../start-redis.js'

export interface StubRequest {
  readonly method: string
  /** Path and query as sent. */
  readonly uri: string
  readonly path: string
  readonly query: URLSearchParams
  readonly headers: IncomingHttpHeaders
  readonly body: string
}

export interface StubReply {
  readonly status?: number
  readonly headers?: Readonly<Record<string, string>>
  /** Sent as JSON; text goes out as it is. */
  readonly body: unknown
}

/** What happens to the next request instead of, or after, the ordinary work. */
export type Scripted =
  | { readonly kind: 'answer'; readonly reply: StubReply }
  /** The work is left undone and no answer ever comes. */
  | { readonly kind: 'hang' }
  /** The work is done and no answer ever comes. */
  | { readonly kind: 'work-then-hang' }
  /** The work is done and the connection is cut. */
  | { readonly kind: 'work-then-drop' }
  /** The connection is cut before anything is done. */
  | { readonly kind: 'drop' }

export const answer = (body: unknown, status = 200, headers: Record<string, string> = {}): Scripted => ({
  kind: 'answer',
  reply: { status, headers, body },
})

/**
 * Listens on a free loopback port until the test ends.
 * In: `isScripted` says which requests use up an entry of the script; `work` is the vendor itself.
 */
export const startStubServer = async (
  t: TestScope,
  {
    work,
    isScripted = () => true,
  }: { work(request: StubRequest): StubReply | Promise<StubReply>; isScripted?(request: StubRequest): boolean },
) => {
  const requests: StubRequest[] = []
  const script: Scripted[] = []

  const respond = async (request: StubRequest, response: ServerResponse): Promise<void> => {
    const scripted = isScripted(request) ? script.shift() : undefined
    if (scripted?.kind === 'hang') return
    if (scripted?.kind === 'drop') return void response.destroy()
    const reply = scripted?.kind === 'answer' ? scripted.reply : await work(request)
    if (scripted?.kind === 'work-then-hang') return
    if (scripted?.kind === 'work-then-drop') return void response.destroy()
    const isText = typeof reply.body === 'string'
    response.writeHead(reply.status ?? 200, { 'content-type': isText ? 'text/html' : 'application/json', ...reply.headers })
    response.end(isText ? (reply.body as string) : JSON.stringify(reply.body))
  }

  const server = createServer(async (message, response) => {
    const chunks: Buffer[] = []
    for await (const chunk of message) chunks.push(chunk as Buffer)
    const uri = message.url as string
    const { pathname, searchParams } = new URL(uri, 'http://stub')
    const request: StubRequest = {
      method: message.method as string,
      uri,
      path: pathname,
      query: searchParams,
      headers: message.headers,
      body: Buffer.concat(chunks).toString('utf8'),
    }
    requests.push(request)
    await respond(request, response)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(async () => {
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
  })
  const { port } = server.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${port}`,
    port,
    /** All requests, oldest first. */
    requests,
    /** Used up from the front, one entry a request. */
    script,
  }
}
