// Object storage: what is stored and what is left behind, against an S3 server and a front that fails on demand.

import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { GetObjectCommand } from '@aws-sdk/client-s3'
import t from 'tap'
import { toStoreVerdict } from '../../src/vendors/object-storage/failure.js'
import { openObjectStorage, type StorageProvider, type StoreRequest } from '../../src/vendors/object-storage/object-storage.js'
import { type Operation, startObjectStore, uploadConfig, type Verdict } from '../helpers/object-store.js'
import { recordingBytes } from '../helpers/source-server.js'

const mebibyte = 1_048_576
/** Two parts. */
const large = 5 * mebibyte + 1000
const multipart = ['create', 'part', 'complete'] as const
const key = 'recordings/m-1/a b+ü.mp4'

interface Test {
  after(close: () => unknown): unknown
}

const open = (t: Test, settings: Awaited<ReturnType<typeof startObjectStore>>['settings'], provider: StorageProvider = 'aws') => {
  const storage = openObjectStorage(uploadConfig({ [provider]: settings }))
  t.after(() => storage.close())
  const store = storage.store(provider)
  if (!store) throw new Error('not configured')
  return store
}

async function* bytes(size: number): AsyncGenerator<Buffer> {
  yield* recordingBytes(size)
}

const sha256 = (size: number): string => {
  const hash = createHash('sha256')
  for (const chunk of recordingBytes(size)) hash.update(chunk)
  return hash.digest('hex')
}

const ask = (overrides: Partial<StoreRequest> & { size?: number } = {}): StoreRequest => ({
  key,
  body: bytes(overrides.size ?? 1024),
  contentType: 'video/mp4',
  metadata: { 'job-id': 'ext_1' },
  expected: {},
  sizeBytesMax: 100 * mebibyte,
  overwrite: false,
  signal: new AbortController().signal,
  ...overrides,
})

t.test('stores small and large bodies as they are, and says what it stored', async (t) => {
  for (const size of [0, 1, 1024, 5 * mebibyte, 5 * mebibyte + 1, 11 * mebibyte]) {
    const server = await startObjectStore(t)
    const store = open(t, server.settings)
    const seen: number[] = []
    const outcome = await store.put(ask({ size, onBytes: async (sizeBytes) => void seen.push(sizeBytes) }))
    t.match(outcome, { kind: 'stored', sizeBytes: size, sha256: sha256(size), etag: /^[0-9a-f]{32}(-\d+)?$/ }, `${size} bytes`)
    t.equal(seen.at(-1) ?? 0, size)
    const stored = await server.client.send(new GetObjectCommand({ Bucket: store.bucket, Key: key }))
    const body = await stored.Body?.transformToByteArray()
    t.equal(
      createHash('sha256')
        .update(body ?? '')
        .digest('hex'),
      sha256(size),
    )
    t.equal(stored.ContentType, 'video/mp4')
    t.same(stored.Metadata, { 'job-id': 'ext_1' })
    t.equal((await server.left()).openUploads, 0)
    const found = await store.head(key, new AbortController().signal)
    t.match(found, { kind: 'found', object: { sizeBytes: size, contentType: 'video/mp4', metadata: { 'job-id': 'ext_1' } } })
  }
})

t.test('sends the condition of each provider where the object comes into being, signed, and no checksums of its own', async (t) => {
  const headers = { aws: 'if-none-match', aliyun: 'x-oss-forbid-overwrite', tencent: 'x-cos-forbid-overwrite' } as const
  for (const provider of ['aws', 'aliyun', 'tencent'] as const) {
    for (const overwrite of [false, true]) {
      const server = await startObjectStore(t)
      const store = open(t, server.settings, provider)
      t.equal((await store.put(ask({ size: 1024, overwrite }))).kind, 'stored')
      t.equal((await store.put(ask({ key: 'recordings/m-1/large', size: large, overwrite }))).kind, 'stored')
      for (const call of server.calls) {
        const creates = call.operation === 'put' || call.operation === 'complete'
        const expected = creates && !overwrite ? (provider === 'aws' ? '*' : 'true') : undefined
        t.equal(call.headers[headers[provider]], expected, `${provider} ${call.operation}`)
        if (expected && provider !== 'aws') t.match(call.headers.authorization, new RegExp(headers[provider]), 'signed')
        t.notMatch(call.headers, { 'content-encoding': /aws-chunked/ })
        t.notOk(Object.keys(call.headers).some((name) => name.startsWith('x-amz-checksum') || name.startsWith('x-amz-sdk-checksum')))
      }
      t.equal(server.count('part'), 2)
    }
  }
})

t.test('an object that exists stays, whatever the provider calls the conflict', async (t) => {
  const conflicts: { status: number; code: string }[] = [
    { status: 412, code: 'PreconditionFailed' },
    { status: 409, code: 'FileAlreadyExists' },
  ]
  for (const conflict of conflicts) {
    for (const size of [1024, large]) {
      let refuse = false
      const server = await startObjectStore(t, ({ operation }) =>
        refuse && (operation === 'put' || operation === 'complete') ? conflict : undefined,
      )
      const store = open(t, server.settings)
      await store.put(ask({ size: 77, metadata: { 'job-id': 'ext_other' } }))
      refuse = true
      const outcome = await store.put(ask({ size }))
      t.match(outcome, {
        kind: 'exists',
        sizeBytes: size,
        sha256: sha256(size),
        object: { sizeBytes: 77, metadata: { 'job-id': 'ext_other' } },
      })
      t.same(await server.left(), { objects: [`${key} 77`], openUploads: 0 })
    }
  }
})

t.test('a store that does not know conditions is asked first', async (t) => {
  for (const size of [1024, large]) {
    const server = await startObjectStore(t, ({ headers }) =>
      headers['if-none-match'] ? { status: 501, code: 'NotImplemented' } : undefined,
    )
    const store = open(t, server.settings)
    t.match(await store.put(ask({ size })), { kind: 'stored', sizeBytes: size })
    t.match(await store.put(ask({ size: size + 1, metadata: { 'job-id': 'ext_2' } })), { kind: 'exists', object: { sizeBytes: size } })
    t.same(await server.left(), { objects: [`${key} ${size}`], openUploads: 0 })
  }
})

t.test('a store that neither knows conditions nor lets look is not written to', async (t) => {
  const server = await startObjectStore(t, ({ headers, operation }) =>
    headers['if-none-match'] ? { status: 501, code: 'NotImplemented' } : operation === 'head' ? { status: 403 } : undefined,
  )
  t.match(await open(t, server.settings).put(ask()), { kind: 'refused', code: 'upload.store_denied' })
  t.same(await server.left(), { objects: [], openUploads: 0 })
})

t.test('a lost answer to the creating request is cleared up by looking', async (t) => {
  for (const size of [1024, large]) {
    const server = await startObjectStore(t, ({ operation }) => (operation === 'put' || operation === 'complete' ? 'lost' : undefined))
    const outcome = await open(t, server.settings).put(ask({ size }))
    t.match(outcome, { kind: 'stored', sizeBytes: size, sha256: sha256(size) })
    t.same(await server.left(), { objects: [`${key} ${size}`], openUploads: 0 })
  }
  const silent = await startObjectStore(t, ({ operation }) =>
    operation === 'put' ? 'lost' : operation === 'head' ? { status: 503 } : undefined,
  )
  t.match(await open(t, silent.settings).put(ask()), { kind: 'unavailable', code: 'upload.outcome_unknown' })
  const nothing = await startObjectStore(t, ({ operation }) => (operation === 'put' ? { status: 500, code: 'InternalError' } : undefined))
  t.match(await open(t, nothing.settings).put(ask()), { kind: 'unavailable', code: 'upload.store_unavailable' })
})

t.test('failures keep their first cause, say nothing secret and leave nothing', async (t) => {
  const cases: [NonNullable<Verdict> & object, string, string][] = [
    [{ status: 403, code: 'InvalidAccessKeyId' }, 'refused', 'upload.store_denied'],
    [{ status: 403, code: 'SignatureDoesNotMatch' }, 'refused', 'upload.store_denied'],
    [{ status: 403, code: 'AccessDenied' }, 'refused', 'upload.store_denied'],
    [{ status: 404, code: 'NoSuchBucket' }, 'refused', 'upload.bucket_not_found'],
    [{ status: 400, code: 'EntityTooLarge' }, 'refused', 'upload.too_large'],
    [{ status: 400, code: 'InvalidArgument' }, 'refused', 'upload.store_refused'],
    [{ status: 500, code: 'InternalError' }, 'unavailable', 'upload.store_unavailable'],
    [{ status: 400, code: 'RequestTimeout' }, 'unavailable', 'upload.store_unavailable'],
    [{ status: 403, code: 'RequestTimeTooSkewed' }, 'unavailable', 'upload.store_unavailable'],
    [{ status: 409, code: 'ConditionalRequestConflict' }, 'unavailable', 'upload.store_unavailable'],
    [{ status: 503, code: 'SlowDown' }, 'throttled', 'upload.store_throttled'],
    [{ status: 429 }, 'throttled', 'upload.store_throttled'],
  ]
  let failing: Operation
  let verdict: Verdict
  // The clean-up fails too: its error must not take the place of the first one.
  const failingServer = await startObjectStore(t, ({ operation }) =>
    operation === failing ? verdict : operation === 'abort' ? { status: 400, code: 'MalformedXML' } : undefined,
  )
  const store = open(t, failingServer.settings)
  for (const [answer, kind, code] of cases) {
    const operations = ['AccessDenied', 'InternalError', 'SlowDown'].includes(answer.code ?? '') ? multipart : []
    for (const operation of ['put', ...operations] as const) {
      failing = operation
      verdict = answer
      let leftOver = 0
      const onLeftOver = () => {
        leftOver += 1
      }
      const outcome = await store.put(ask({ size: operation === 'put' ? 1024 : large, onLeftOver }))
      t.match(outcome, { kind, code }, `${operation} ${answer.code}`)
      t.notMatch(JSON.stringify(outcome), /AKIA|127\.0\.0\.1|a b/)
      t.same((await failingServer.left()).objects, [])
      t.equal(leftOver, operation === 'part' || operation === 'complete' ? 1 : 0)
    }
  }
  const server = await startObjectStore(t, ({ operation }) => (operation === 'part' ? { status: 403, code: 'AccessDenied' } : undefined))
  await open(t, server.settings).put(ask({ size: large }))
  t.same(await server.left(), { objects: [], openUploads: 0 })
})

t.test('a store that cannot be reached is unavailable', async (t) => {
  const store = open(t, {
    region: 'us-east-1',
    bucket: 'b',
    accessKeyId: 'AKIA',
    secretAccessKey: 's',
    endpoint: 'http://127.0.0.1:9',
    forcePathStyle: true,
  })
  t.match(await store.put(ask()), { kind: 'unavailable', code: 'upload.store_unavailable', message: /ECONNREFUSED/ })
  t.match(await store.head(key, new AbortController().signal), { kind: 'unavailable' })
  t.match(toStoreVerdict(Object.assign(new Error('to https://secret'), { name: 'TimeoutError' })).failure, {
    kind: 'unavailable',
    message: /TimeoutError/,
  })
})

t.test('a body that fails or is not as expected creates nothing', async (t) => {
  const cut = async function* (size: number) {
    yield* recordingBytes(size)
    throw new Error('the source broke off')
  }
  for (const size of [1024, large]) {
    const server = await startObjectStore(t)
    const store = open(t, server.settings)
    t.match(await store.put(ask({ body: cut(size) })), { kind: 'source-failed', error: { message: 'the source broke off' } })
    t.same(await store.put(ask({ size, expected: { sizeBytes: size + 1 } })), { kind: 'mismatch', what: 'shorter' })
    t.same(await store.put(ask({ size, expected: { sizeBytes: size - 1 } })), { kind: 'mismatch', what: 'longer' })
    t.same(await store.put(ask({ size, expected: { sha256: '0'.repeat(64) } })), { kind: 'mismatch', what: 'sha256' })
    t.same(await server.left(), { objects: [], openUploads: 0 })
    t.match(await store.put(ask({ size, expected: { sizeBytes: size, sha256: sha256(size).toUpperCase() } })), { kind: 'stored' })
  }
})

t.test('an abort at any point leaves neither object nor open upload', async (t) => {
  const endless = async function* () {
    yield* recordingBytes(large)
    await new Promise(() => undefined)
  }
  const points = {
    'before it begins': { abortOn: null, body: () => bytes(large) },
    'while the upload is opened': { abortOn: 'create', body: () => bytes(large) },
    'while a part is sent': { abortOn: 'part', body: () => bytes(large) },
    'while the source is silent': { abortOn: 'part', body: endless },
  } as const
  for (const [name, { abortOn, body }] of Object.entries(points)) {
    const controller = new AbortController()
    if (abortOn === null) controller.abort()
    const server = await startObjectStore(t, ({ operation }) => {
      if (operation === abortOn) controller.abort()
      return undefined
    })
    t.same(await open(t, server.settings).put(ask({ body: body(), signal: controller.signal })), { kind: 'aborted' }, name)
    t.same(await server.left(), { objects: [], openUploads: 0 }, name)
  }
})

t.test('a failing part ends the upload although the source goes on being silent', async (t) => {
  const silent = async function* () {
    yield* recordingBytes(large)
    await new Promise(() => undefined)
  }
  const server = await startObjectStore(t, ({ operation }) => (operation === 'part' ? { status: 403, code: 'AccessDenied' } : undefined))
  t.match(await open(t, server.settings).put(ask({ body: silent() })), { kind: 'refused', code: 'upload.store_denied' })
  t.same(await server.left(), { objects: [], openUploads: 0 })
})

t.test('a failing part stops the other one that is being sent', async (t) => {
  const server = await startObjectStore(t, ({ operation, path }) => {
    if (operation !== 'part') return undefined
    return path.includes('partNumber=1') ? { status: 403, code: 'AccessDenied' } : 'hang'
  })
  t.match(await open(t, server.settings).put(ask({ size: large })), { kind: 'refused', code: 'upload.store_denied' })
  t.same(await server.left(), { objects: [], openUploads: 0 })
})

t.test('holds only a few parts, however large the body', async (t) => {
  // Swallows everything, so that what is measured is the sender's memory.
  const sink = createServer((request, response) => {
    request.resume().on('end', () => {
      const xml = '<R><UploadId>1</UploadId><ETag>"e"</ETag></R>'
      response.writeHead(200, { etag: '"e"', 'content-type': 'application/xml' }).end(request.method === 'PUT' ? '' : xml)
    })
  })
  sink.listen(0, '127.0.0.1')
  await once(sink, 'listening')
  t.after(() => sink.close())
  const endpoint = `http://127.0.0.1:${(sink.address() as AddressInfo).port}`
  const store = open(t, { region: 'us-east-1', bucket: 'b', accessKeyId: 'a', secretAccessKey: 's', endpoint, forcePathStyle: true })
  await store.put(ask({ size: 20 * mebibyte }))
  const before = process.memoryUsage().rss
  let peak = before
  const size = 160 * mebibyte
  const outcome = await store.put(
    ask({
      size,
      onBytes: async () => {
        peak = Math.max(peak, process.memoryUsage().rss)
      },
    }),
  )
  t.match(outcome, { kind: 'stored', sizeBytes: size })
  t.ok(peak - before < 110 * mebibyte, `grew by ${Math.round((peak - before) / mebibyte)} MiB`)
})

t.test('names the address of an object without query', async (t) => {
  const settings = {
    region: 'cn-north-1',
    bucket: 'rec',
    accessKeyId: 'a',
    secretAccessKey: 's',
    endpoint: undefined,
    forcePathStyle: false,
  }
  const urlOf = (provider: StorageProvider, overrides = {}) => open(t, { ...settings, ...overrides }, provider).urlOf(key)
  const path = 'recordings/m-1/a%20b%2B%C3%BC.mp4'
  t.equal(urlOf('aws'), `https://rec.s3.cn-north-1.amazonaws.com.cn/${path}`)
  t.equal(urlOf('aws', { region: 'eu-central-1' }), `https://rec.s3.eu-central-1.amazonaws.com/${path}`)
  t.equal(urlOf('aliyun', { region: 'cn-shanghai' }), `https://rec.s3.oss-cn-shanghai.aliyuncs.com/${path}`)
  t.equal(urlOf('tencent', { region: 'ap-guangzhou', bucket: 'rec-125' }), `https://rec-125.cos.ap-guangzhou.myqcloud.com/${path}`)
  t.equal(urlOf('aws', { endpoint: 'http://localhost:9000/', forcePathStyle: true }), `http://localhost:9000/rec/${path}`)
})

t.test('opens only what is configured and shares out the slots', async (t) => {
  const settings = { region: 'r', bucket: 'b', accessKeyId: 'a', secretAccessKey: 's', endpoint: undefined, forcePathStyle: false }
  const slots = (limit: number, concurrency: number) => {
    const storage = openObjectStorage(uploadConfig({ aliyun: settings }, { upload: { concurrency: limit }, concurrency }))
    t.after(() => storage.close())
    t.equal(storage.store('aws'), null)
    const taken = []
    for (let slot = storage.takeSlot(); slot; slot = storage.takeSlot()) taken.push(slot)
    taken[0]?.()
    t.ok(storage.takeSlot(), 'a slot that was given back is free again')
    t.equal(storage.takeSlot(), null)
    return taken.length
  }
  t.equal(slots(1, 1), 1)
  t.equal(slots(5, 1), 1)
  t.equal(slots(5, 4), 3)
  t.equal(slots(2, 4), 2)
})
