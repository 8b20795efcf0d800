// An S3 server on loopback behind a front that records every request and can answer in its place, or lose its answers.

import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse, request as send } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { pipeline } from 'node:stream/promises'
import { HeadObjectCommand, ListObjectsV2Command, S3Client } from '@aws-sdk/client-s3'
import { startFauxqs } from 'fauxqs'
import type { OutboundSettings } from '../../src/outbound/settings.js'
import type { BucketSettings, ObjectStorageSettings } from '../../src/vendors/object-storage/settings.js'

/** What one request to the store asks for. */
export type Operation = 'head' | 'put' | 'create' | 'part' | 'complete' | 'abort' | 'other'

export interface StoreCall {
  readonly operation: Operation
  readonly path: string
  readonly headers: IncomingMessage['headers']
  /** How many requests of this operation came before. */
  readonly before: number
}

/** `status` with an S3 error; `lost`: carried out, but the connection breaks before the answer; `hang`: neither. */
export type Verdict = { readonly status: number; readonly code?: string } | 'lost' | 'hang' | undefined

export const bucket = 'recordings-test'

const operationOf = ({ method, url }: IncomingMessage): Operation => {
  const query = new URL(url ?? '/', 'http://localhost').searchParams
  if (method === 'HEAD') return 'head'
  if (method === 'DELETE') return query.has('uploadId') ? 'abort' : 'other'
  if (method === 'POST') return query.has('uploads') ? 'create' : 'complete'
  if (method === 'PUT') return query.has('partNumber') ? 'part' : 'put'
  return 'other'
}

/** `judge` may decide each answer of the front; without it the store itself answers. Closes with the test. */
export const startObjectStore = async (
  t: { after(close: () => unknown): unknown },
  judge: (call: StoreCall) => Verdict = () => undefined,
) => {
  const behind = await startFauxqs({ port: 0, logger: false })
  behind.createBucket(bucket)
  const calls: StoreCall[] = []
  const sockets = new Set<Socket>()
  // The store behind cannot list its open uploads.
  const openUploads = new Set<string>()

  const forward = async (request: IncomingMessage, response: ServerResponse, lost: boolean) => {
    const passed = send({ port: behind.port, host: '127.0.0.1', method: request.method, path: request.url, headers: request.headers })
    const [, [answer]] = await Promise.all([pipeline(request, passed), once(passed, 'response') as Promise<[IncomingMessage]>])
    const body = Buffer.concat(await answer.toArray())
    const status = answer.statusCode ?? 500
    if (status < 300) {
      const created = /<UploadId>([^<]+)</.exec(String(body))?.[1]
      const ended = new URL(request.url ?? '/', 'http://localhost').searchParams.get('uploadId')
      if (created) openUploads.add(created)
      if (ended && (request.method === 'POST' || request.method === 'DELETE')) openUploads.delete(ended)
    }
    if (lost) response.socket?.destroy()
    else response.writeHead(status, answer.headers).end(body)
  }

  const front = createServer((request, response) => {
    const operation = operationOf(request)
    const before = calls.filter((each) => each.operation === operation).length
    const call = { operation, path: request.url ?? '', headers: request.headers, before }
    calls.push(call)
    const verdict = judge(call)
    if (verdict === 'hang') return
    if (verdict === undefined || verdict === 'lost') {
      forward(request, response, verdict === 'lost').catch(() => response.destroy())
      return
    }
    const code = verdict.code ? `<Error><Code>${verdict.code}</Code><Message>key AKIASECRET is bad</Message></Error>` : ''
    request.resume().on('end', () => response.writeHead(verdict.status, { 'content-type': 'application/xml' }).end(code))
  })
  front.on('connection', (socket: Socket) => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
  })
  front.listen(0, '127.0.0.1')
  await once(front, 'listening')

  const settings: BucketSettings = {
    region: 'us-east-1',
    bucket,
    accessKeyId: 'AKIATEST',
    secretAccessKey: 'secret-of-the-test',
    endpoint: `http://127.0.0.1:${(front.address() as AddressInfo).port}`,
    forcePathStyle: true,
  }
  const inspector = new S3Client({
    region: 'us-east-1',
    endpoint: `http://127.0.0.1:${behind.port}`,
    forcePathStyle: true,
    credentials: { accessKeyId: 'inspector', secretAccessKey: 'inspector' },
  })
  t.after(async () => {
    inspector.destroy()
    for (const socket of sockets) socket.destroy()
    front.close()
    await once(front, 'close')
    await behind.stop()
  })

  return {
    settings,
    calls,
    count: (operation: Operation) => calls.filter((call) => call.operation === operation).length,
    /** Reads past the front. */
    async left() {
      const objects = await inspector.send(new ListObjectsV2Command({ Bucket: bucket }))
      return {
        objects: (objects.Contents ?? []).map(({ Key, Size }) => `${Key} ${Size}`),
        openUploads: openUploads.size,
      }
    },
    head: (key: string) => inspector.send(new HeadObjectCommand({ Bucket: bucket, Key: key })),
    client: inspector,
  }
}

/** What `openObjectStorage` is opened with. */
export const uploadConfig = (
  buckets: Partial<ObjectStorageSettings['buckets']>,
  overrides: {
    upload?: Partial<ObjectStorageSettings['upload']>
    allowPrivateHosts?: OutboundSettings['allowPrivateHosts']
    concurrency?: number
  } = {},
): { settings: ObjectStorageSettings; outbound: OutboundSettings; placesAtOnce: number } => ({
  settings: {
    buckets: { aws: undefined, aliyun: undefined, tencent: undefined, ...buckets },
    upload: {
      maxBytes: 100_000_000,
      contentTypes: ['video/*', 'audio/*', 'text/plain', 'application/octet-stream'],
      partBytes: 5_242_880,
      concurrency: 1,
      idleTimeoutMs: 2000,
      ...overrides.upload,
    },
  },
  outbound: { allowHosts: [], allowPorts: [], allowPrivateHosts: overrides.allowPrivateHosts ?? [], maxRedirects: 3 },
  placesAtOnce: overrides.concurrency ?? 1,
})
