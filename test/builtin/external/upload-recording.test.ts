// The upload of recordings: from a source server on loopback to an S3 server on loopback, well and badly.

import { createHash } from 'node:crypto'
import t from 'tap'
import { loadBuiltinConfig } from '../../../src/builtin/config.js'
import type { BuiltinContext } from '../../../src/builtin/define.js'
import { uploadRecording } from '../../../src/builtin/external/upload-recording.js'
import { builtinErrors } from '../../../src/builtin/job-errors.js'
import type { JobOutcome } from '../../../src/types/definition.js'
import { createCallQuota } from '../../../src/vendors/call-quota.js'
import { openObjectStorage } from '../../../src/vendors/object-storage/object-storage.js'
import { openTencentMeeting, type TencentMeeting } from '../../../src/vendors/tencent-meeting/tencent-meeting.js'
import { eventually } from '../../helpers/eventually.js'
import { createValidator } from '../../helpers/mail-jobs.js'
import { type StoreCall, startObjectStore, uploadConfig, type Verdict } from '../../helpers/object-store.js'
import { recordingBytes, type SourceHandler, startSourceServer, stream } from '../../helpers/source-server.js'
import { startStores } from '../../helpers/vendor-attempt.js'
import { answer } from '../../helpers/vendor-stubs/stub-server.js'
import { startTencentStub, tencentError } from '../../helpers/vendor-stubs/tencent-meeting.js'

type Data = Parameters<typeof uploadRecording.run>[0]

interface Test {
  after(close: () => unknown): unknown
}

const mebibyte = 1_048_576
const small = 1024
const large = 50 * mebibyte
const query = 'signature=canary-of-the-query'
const key = 'recordings/weekly-42/weekly.mp4'

const sha256 = (size: number): string => {
  const hash = createHash('sha256')
  for (const chunk of recordingBytes(size)) hash.update(chunk)
  return hash.digest('hex')
}

/** Hands out `size` bytes, with their length announced. */
const serve =
  (size: number, headers: Record<string, string> = {}): SourceHandler =>
  (_, response) => {
    response.writeHead(200, { 'content-type': 'video/mp4', 'content-length': String(size), ...headers })
    stream(response, recordingBytes(size))
  }

/** A source with one recording behind `/`, a store, and the handler between them. */
const open = async (
  t: Test,
  source: SourceHandler | Record<string, SourceHandler>,
  { judge, upload, concurrency }: { judge?: (call: StoreCall) => Verdict; upload?: object; concurrency?: number } = {},
) => {
  const server = await startSourceServer(t, typeof source === 'function' ? { '/': source } : source)
  const store = await startObjectStore(t, judge)
  const allowPrivateHosts = [{ host: '127.0.0.1', port: server.port }]
  const objectStorage = openObjectStorage(
    uploadConfig({ aws: store.settings }, { allowPrivateHosts, ...(upload ? { upload } : {}), ...(concurrency ? { concurrency } : {}) }),
  )
  t.after(() => objectStorage.close())
  const progress: unknown[] = []
  const logged: string[] = []
  const run = (
    change: Partial<Data> = {},
    { jobId = 'ext_1', signal = new AbortController().signal, tencentMeeting = undefined as TencentMeeting | undefined } = {},
  ): Promise<JobOutcome<unknown>> =>
    uploadRecording.run(
      {
        fileUrl: `${server.url}/?${query}`,
        fileName: 'weekly.mp4',
        meetingId: 'weekly-42',
        storageProvider: 'aws',
        ...change,
      },
      {
        jobId,
        createdAt: 0,
        attempt: 1,
        maxAttempts: 5,
        signal,
        log: (line: string) => void logged.push(line),
        progress: async (value: unknown) => void progress.push(value),
        integrations: { objectStorage, tencentMeeting },
      } as unknown as BuiltinContext<'objectStorage'>,
    )
  return { server, store, objectStorage, run, progress, logged }
}

const nothing = { objects: [], openUploads: 0 }

/** No outcome may tell the address of the source, its query or a key of the store. */
const isDiscreet = (outcome: unknown): boolean => !/canary|AKIA|secret-of-the-test|127\.0\.0\.1:\d+\/\?/.test(JSON.stringify(outcome))

t.test('stores a small and a large recording, verified, and reports progress', async (t) => {
  for (const size of [small, large]) {
    const { run, store, progress } = await open(t, serve(size))
    const outcome = await run({ sizeBytes: size, sha256: sha256(size) })
    t.match(outcome, {
      kind: 'done',
      result: {
        bucket: store.settings.bucket,
        key,
        uploadedUrl: `${store.settings.endpoint}/${store.settings.bucket}/${key}`,
        sizeBytes: size,
        sha256: sha256(size),
        etag: /^[0-9a-f]{32}(-\d+)?$/,
        contentType: 'video/mp4',
        alreadyPresent: false,
      },
    })
    if (outcome.kind === 'done') t.ok(createValidator(uploadRecording.result)(outcome.result))
    t.ok(isDiscreet(outcome))
    t.same((await store.head(key)).Metadata, { 'job-id': 'ext_1', sha256: sha256(size) })
    t.equal(progress.at(-1), 100)
    t.ok(progress.every((value) => typeof value === 'number' && value >= 0 && value <= 100))
    t.same(await store.left(), { objects: [`${key} ${size}`], openUploads: 0 })
  }
})

t.test('stores a recording whose length is not announced, and follows redirects', async (t) => {
  const chunked: SourceHandler = (_, response) => {
    response.writeHead(200, { 'content-type': 'Video/MP4; charset=x' })
    stream(response, recordingBytes(6 * mebibyte))
  }
  const { run, store, progress } = await open(t, {
    '/': (_, response) => response.writeHead(302, { location: '/real' }).end(),
    '/real': chunked,
  })
  t.match(await run(), { kind: 'done', result: { sizeBytes: 6 * mebibyte, sha256: sha256(6 * mebibyte), contentType: 'video/mp4' } })
  t.match(progress[0], { bytes: Number })
  t.match(await store.left(), { openUploads: 0 })
})

t.test('a second run of the same job finds what the first one stored', async (t) => {
  const { run, server, store } = await open(t, serve(small))
  t.match(await run(), { kind: 'done', result: { alreadyPresent: false } })
  t.match(await run(), { kind: 'done', result: { alreadyPresent: true, sizeBytes: small, sha256: null } })
  t.match(await run({ overwrite: true }), { kind: 'done', result: { alreadyPresent: true } })
  t.equal(server.requests.length, 1, 'nothing is fetched twice')
  t.same(await store.left(), { objects: [`${key} ${small}`], openUploads: 0 })
})

t.test('another job never replaces the object unawares', async (t) => {
  const { run, server, store } = await open(t, { '/': serve(small), '/other': serve(small + 1) })
  const fileUrl = `${server.url}/other`
  t.match(await run({ sha256: sha256(small) }), { kind: 'done' })
  t.match(await run({ fileUrl }, { jobId: 'ext_2' }), { kind: 'fail', code: 'upload.object_conflict' })
  t.match(await run({ fileUrl, sha256: sha256(small + 1) }, { jobId: 'ext_2' }), { kind: 'fail', code: 'upload.object_conflict' })
  t.match(await run({ sha256: sha256(small).toUpperCase() }, { jobId: 'ext_2' }), {
    kind: 'done',
    result: { alreadyPresent: true, sha256: sha256(small) },
  })
  t.equal(server.requests.length, 1)
  t.same(await store.left(), { objects: [`${key} ${small}`], openUploads: 0 })
  t.match(await run({ fileUrl, overwrite: true }, { jobId: 'ext_2' }), {
    kind: 'done',
    result: { alreadyPresent: false, sizeBytes: small + 1 },
  })
  t.same(await store.left(), { objects: [`${key} ${small + 1}`], openUploads: 0 })
})

t.test('an object that appears while the recording streams is a conflict, or the same', async (t) => {
  let hidden = true
  const judge = ({ operation, before }: StoreCall): Verdict => {
    // Seen by nobody before the upload, there when it is to be created.
    if (operation === 'head' && hidden) return { status: 404 }
    if (operation !== 'put' || before === 0) return undefined
    hidden = false
    return { status: 412, code: 'PreconditionFailed' }
  }
  const { run } = await open(t, serve(small), { judge })
  t.match(await run(), { kind: 'done' })
  t.match(await run({}, { jobId: 'ext_2' }), { kind: 'fail', code: 'upload.object_conflict' })
  hidden = true
  t.match(await run(), { kind: 'done', result: { sizeBytes: small, sha256: sha256(small) } }, 'stored by an attempt whose answer was lost')
})

t.test('what the source does wrong is told apart, and nothing is left', async (t) => {
  const status =
    (code: number): SourceHandler =>
    (_, response) =>
      response.writeHead(code, { 'content-type': 'video/mp4' }).end('sorry')
  const cut =
    (size: number, announced: number | null): SourceHandler =>
    (_, response) => {
      response.writeHead(200, { 'content-type': 'video/mp4', ...(announced === null ? {} : { 'content-length': String(announced) }) })
      for (const chunk of recordingBytes(size)) response.write(chunk)
      response.socket?.end()
    }
  const silent: SourceHandler = (_, response) => response.writeHead(200, { 'content-type': 'video/mp4' }).write('begin')
  const cases: [string, SourceHandler, Partial<Data>, string, string][] = [
    ['400', status(400), {}, 'fail', 'upload.source_refused'],
    ['401', status(401), {}, 'fail', 'upload.source_refused'],
    ['403', status(403), {}, 'fail', 'upload.source_refused'],
    ['404', status(404), {}, 'fail', 'upload.source_refused'],
    ['410', status(410), {}, 'fail', 'upload.source_refused'],
    ['204', status(204), {}, 'fail', 'upload.source_refused'],
    ['206', status(206), {}, 'fail', 'upload.source_refused'],
    ['429', status(429), {}, 'retry', 'upload.source_unavailable'],
    ['500', status(500), {}, 'retry', 'upload.source_unavailable'],
    ['503', status(503), {}, 'retry', 'upload.source_unavailable'],
    ['a dropped connection', (_, response) => response.socket?.destroy(), {}, 'retry', 'upload.source_unavailable'],
    [
      'an error page',
      (_, response) => response.writeHead(200, { 'content-type': 'text/html' }).end('no'),
      {},
      'fail',
      'upload.type_refused',
    ],
    ['a type that is not allowed', serve(small), { contentType: 'image/png' }, 'fail', 'upload.type_refused'],
    ['a compressed body', serve(small, { 'content-encoding': 'gzip' }), {}, 'fail', 'upload.source_refused'],
    ['too much, announced', serve(7 * mebibyte), {}, 'fail', 'upload.too_large'],
    [
      'too much, unannounced',
      (_, response) => stream(response.writeHead(200), recordingBytes(7 * mebibyte)),
      {},
      'fail',
      'upload.too_large',
    ],
    ['another size, announced', serve(small), { sizeBytes: small + 1 }, 'fail', 'upload.size_mismatch'],
    [
      'more than sizeBytes',
      (_, response) => stream(response.writeHead(200), recordingBytes(small)),
      { sizeBytes: 7 },
      'fail',
      'upload.size_mismatch',
    ],
    [
      'less than sizeBytes',
      (_, response) => stream(response.writeHead(200), recordingBytes(small)),
      { sizeBytes: small + 1 },
      'retry',
      'upload.source_interrupted',
    ],
    ['another hash', serve(small), { sha256: sha256(small + 1) }, 'retry', 'upload.hash_mismatch'],
    ['truncated, small', cut(small, small + 1), {}, 'retry', 'upload.source_interrupted'],
    ['truncated, in the second part', cut(5.5 * mebibyte, 6 * mebibyte), {}, 'retry', 'upload.source_interrupted'],
    ['truncated, chunked', cut(5.5 * mebibyte, null), {}, 'retry', 'upload.source_interrupted'],
    ['silent', silent, {}, 'retry', 'upload.source_interrupted'],
    ['redirects without end', (_, response) => response.writeHead(302, { location: '/' }).end(), {}, 'fail', 'upload.source_refused'],
    [
      'a redirect to a private host',
      (_, response) => response.writeHead(302, { location: 'https://10.0.0.1/' }).end(),
      {},
      'fail',
      'upload.source_blocked',
    ],
  ]
  let current: SourceHandler = status(500)
  const { run, store } = await open(t, (request, response) => current(request, response), {
    upload: { maxBytes: 6 * mebibyte, idleTimeoutMs: 3000 },
  })
  for (const [name, source, change, kind, code] of cases) {
    current = source
    const outcome = await run(change)
    t.match(outcome, { kind, code }, name)
    t.ok(isDiscreet(outcome), name)
    t.equal(builtinErrors[code as keyof typeof builtinErrors].retryable, kind === 'retry', `${code} is told as what it is`)
  }
  t.same(await store.left(), nothing)
})

t.test('an expired address of Tencent Meeting is asked for anew', async (t) => {
  const newStore = await startStores(t)
  const stub = await startTencentStub(t)
  const openTencent = (userId?: string, sts: string | null = null) => {
    const { redis, keys } = newStore()
    const client = openTencentMeeting({
      settings: {
        baseUrl: stub.url,
        secretId: stub.secretId,
        secretKey: stub.secretKey,
        appId: stub.appId,
        userId,
        instanceId: 1,
        timeoutMs: 5000,
      },
      quota: createCallQuota({ redis, keys, vendor: 't', quotas: [{ calls: 100, windowMs: 60_000 }] }),
      stsTokens: { read: async () => sts },
    })
    t.after(() => client.close())
    return client
  }
  const expired: SourceHandler = (_, response) => response.writeHead(403, { 'content-type': 'application/xml' }).end('<Error/>')
  const { run, server, store, logged } = await open(t, {
    '/old.mp4': expired,
    '/old.m4a': expired,
    '/fresh.mp4': serve(small),
    '/fresh.m4a': serve(small + 1, { 'content-type': 'audio/mp4' }),
  })
  const fileUrl = `${server.url}/old.mp4?${query}`
  const asked = { fileUrl, recordFileId: 'rec_1' }
  const fresh = {
    download_address: `${server.url}/fresh.mp4?fresh-${query}`,
    download_address_file_type: 'mp4',
    audio_address: `${server.url}/fresh.m4a?fresh-${query}`,
    audio_address_file_type: 'm4a',
  }
  const tencentMeeting = openTencent('operator')

  await t.test('and the upload goes on', async (t) => {
    stub.script.push(answer(fresh))
    const outcome = await run({ ...asked, sha256: sha256(small) }, { tencentMeeting })
    t.match(outcome, { kind: 'done', result: { sizeBytes: small, contentType: 'video/mp4' } })
    t.equal(stub.requests.at(-1)?.uri, '/v1/addresses/rec_1?userid=operator')
    t.match(logged, [/returned 403.*new URL/])
    t.ok(isDiscreet([outcome, logged]))
  })

  await t.test('without its picture where the job is about that, as the user whom the job names', async (t) => {
    for (const [jobId, change] of [
      ['by-type', { contentType: 'audio/mp4' }],
      ['by-name', { fileName: 'weekly.M4A' }],
      ['by-address', { fileUrl: `${server.url}/old.m4a?${query}` }],
    ] as const) {
      stub.script.push(answer(fresh))
      const outcome = await run({ ...asked, fileName: jobId, tencentUserId: 'someone', ...change }, { jobId, tencentMeeting })
      t.match(outcome, { kind: 'done', result: { sizeBytes: small + 1 } }, jobId)
    }
    t.equal(stub.requests.at(-1)?.query.get('userid'), 'someone')
  })

  const stored = await store.left()
  await t.test('or it ends with a code that says why not', async (t) => {
    const again = { ...asked, fileName: 'other.mp4' }
    const calls = stub.requests.length
    t.match(await run({ ...again, recordFileId: undefined }, { tencentMeeting }), { kind: 'fail', code: 'upload.source_refused' })
    t.match(await run(again), { kind: 'fail', code: 'not_configured', message: /TENCENT_MEETING_SECRET_ID/ })
    t.match(await run(again, { tencentMeeting: openTencent() }), {
      kind: 'fail',
      code: 'not_configured',
      message: /TENCENT_MEETING_USER_ID/,
    })
    t.equal(stub.requests.length, calls, 'nobody was asked')
    for (const [reply, kind, code] of [
      [answer({ ...fresh, download_address: fileUrl }), 'fail', 'upload.source_refused'],
      [answer({ ...fresh, download_address: 'https://10.0.0.1/' }), 'fail', 'upload.source_blocked'],
      [answer({ record_file_id: 'rec_1', download_address: '' }), 'fail', 'upload.source_refused'],
      [answer(tencentError(500125).body), 'fail', 'tencent.sts_token_missing'],
      [answer(tencentError(190310).body), 'defer', 'tencent.rate_limited'],
      [answer({}, 503), 'retry', 'tencent.unavailable'],
    ] as const) {
      stub.script.push(reply)
      const outcome = await run(again, { tencentMeeting })
      t.match(outcome, { kind, code }, code)
      t.ok(isDiscreet(outcome))
    }
    stub.script.push(answer(tencentError(500125).body))
    t.match(await run(again, { tencentMeeting: openTencent('operator', 'sts') }), { kind: 'fail', code: 'tencent.refused' })
  })

  await t.test('an abort while the vendor is asked ends the attempt', async (t) => {
    const controller = new AbortController()
    const running = run({ ...asked, fileName: 'late.mp4' }, { tencentMeeting, signal: controller.signal })
    stub.script.push({ kind: 'hang' })
    const calls = stub.requests.length
    await eventually('the vendor is asked', () => stub.requests.length > calls)
    controller.abort(new Error('timed_out'))
    await t.rejects(running, { message: 'timed_out' })
  })
  t.same(await store.left(), stored)
})

t.test('a blocked address is never connected to', async (t) => {
  const { run, server } = await open(t, serve(small))
  const elsewhere = await startSourceServer(t, { '/': serve(small) })
  for (const fileUrl of [
    `https://127.0.0.1:${elsewhere.port}/`,
    `https://[::1]:${elsewhere.port}/`,
    `https://localhost:${elsewhere.port}/`,
    'https://169.254.169.254/',
  ]) {
    t.match(await run({ fileUrl }), { kind: 'fail', code: 'upload.source_blocked' }, fileUrl)
  }
  t.equal(elsewhere.connections(), 0)
  t.equal(server.connections(), 0)
})

t.test('what the store does wrong is told apart', async (t) => {
  const cases: [Verdict & object, string, string][] = [
    [{ status: 403, code: 'SignatureDoesNotMatch' }, 'fail', 'upload.store_denied'],
    [{ status: 404, code: 'NoSuchBucket' }, 'fail', 'upload.bucket_not_found'],
    [{ status: 500, code: 'InternalError' }, 'retry', 'upload.store_unavailable'],
    [{ status: 503, code: 'SlowDown' }, 'defer', 'upload.store_throttled'],
  ]
  let verdict: Verdict
  const { run, store } = await open(t, serve(small), { judge: ({ operation }) => (operation === 'put' ? verdict : undefined) })
  for (const [answer, kind, code] of cases) {
    verdict = answer
    const outcome = await run()
    t.match(outcome, { kind, code })
    t.ok(isDiscreet(outcome))
  }
  t.same(await store.left(), nothing)
  const denied = await open(t, serve(small), { judge: ({ operation }) => (operation === 'head' ? { status: 403 } : undefined) })
  t.match(await denied.run(), { kind: 'fail', code: 'upload.store_denied' })
  t.equal(denied.server.requests.length, 0, 'nothing is fetched that cannot be stored')
})

t.test('a provider without settings fails at once and names the variable', async (t) => {
  const { run, server } = await open(t, serve(small))
  t.match(await run({ storageProvider: 'tencent' }), { kind: 'fail', code: 'not_configured', message: /STORAGE_TENCENT_BUCKET/ })
  t.equal(server.requests.length, 0)
})

t.test('uploads beyond the cap are deferred, and the place is given back', async (t) => {
  let begin = (): void => undefined
  const begun = new Promise<void>((resolve) => {
    begin = resolve
  })
  const { run, server } = await open(t, {
    '/': serve(small),
    '/silent': (_, response) => {
      response.writeHead(200, { 'content-type': 'video/mp4' }).write('begin')
      begin()
    },
  })
  const controller = new AbortController()
  const running = run({ fileUrl: `${server.url}/silent` }, { signal: controller.signal })
  await begun
  const busy = await run({}, { jobId: 'ext_2' })
  t.match(busy, { kind: 'defer', code: 'upload.busy' })
  if (busy.kind === 'defer') t.ok(busy.afterMs >= 1000)
  controller.abort(new Error('cancelled'))
  await t.rejects(running, { message: 'cancelled' })
  t.match(await run({}, { jobId: 'ext_2' }), { kind: 'done' })
})

t.test('an abort ends the attempt with its reason and leaves nothing', async (t) => {
  for (const at of ['head', 'create', 'part'] as const) {
    const controller = new AbortController()
    const judge = ({ operation }: StoreCall): Verdict => {
      if (operation === at) controller.abort(new Error('timed_out'))
      return undefined
    }
    const { run, store } = await open(t, serve(6 * mebibyte), { judge })
    await t.rejects(run({}, { signal: controller.signal }), { message: 'timed_out' }, at)
    t.same(await store.left(), nothing, at)
  }
})

t.test('the schema bounds every member', async (t) => {
  const isData = createValidator(uploadRecording.data)
  const { example } = uploadRecording
  t.ok(isData(example))
  t.ok(
    isData({
      ...example,
      fileName: '会议 – Größe.mp4',
      sizeBytes: 0,
      sha256: 'a'.repeat(64),
      recordFileId: 'r1',
      tencentUserId: 'u',
      overwrite: true,
    }),
  )
  const wrong: object[] = [
    { fileUrl: 'ftp://example.com/a' },
    { fileUrl: 'https://user:pass@example.com/a' },
    { fileUrl: `https://example.com/${'a'.repeat(2048)}` },
    { fileUrl: ['https://example.com/a'] },
    ...['', '.', '..', 'a/b', 'a\\b', 'a\nb', 'a\u0000b', 'a\u007f', 'a'.repeat(256)].map((fileName) => ({ fileName })),
    { meetingId: '../x' },
    { storageProvider: 'gcs' },
    { contentType: 'video' },
    { contentType: 'video/mp4\r\nx: y' },
    { sizeBytes: -1 },
    { sizeBytes: 1.5 },
    { sizeBytes: '1' },
    { sha256: 'a'.repeat(63) },
    { sha256: 'g'.repeat(64) },
    { recordFileId: 'a/b' },
    { overwrite: 'yes' },
    { bucket: 'mine' },
  ]
  for (const change of wrong) t.notOk(isData({ ...example, ...change }), JSON.stringify(change).slice(0, 60))
  t.equal((uploadRecording.data.properties.fileUrl as { 'x-sensitive'?: boolean })['x-sensitive'], true)
})

t.test('what the schema cannot say is checked at submission', async (t) => {
  const config = loadBuiltinConfig({ UPLOAD_MAX_BYTES: '1000', OUTBOUND_ALLOW_HOSTS: 'files.example.com' }, '/nonexistent')
  const check = (change: Partial<Data>) => uploadRecording.check?.({ ...uploadRecording.example, ...change } as Data, { now: 0, config })
  t.same(check({}), [])
  t.same(check({ contentType: 'Video/WebM', sizeBytes: 1000 }), [])
  t.match(check({ fileUrl: 'https://127.0.0.1/a' }), [{ pointer: '#/data/fileUrl', detail: /public/ }])
  t.match(check({ fileUrl: 'http://files.example.com/a' }), [{ pointer: '#/data/fileUrl', detail: /https/ }])
  t.match(check({ fileUrl: 'https://files.example.com:22/a' }), [{ pointer: '#/data/fileUrl', detail: /port/ }])
  t.match(check({ fileUrl: 'https://other.example.com/a' }), [{ pointer: '#/data/fileUrl', detail: /host/ }])
  t.match(check({ contentType: 'text/html' }), [{ pointer: '#/data/contentType' }])
  t.match(check({ sizeBytes: 1001 }), [{ pointer: '#/data/sizeBytes' }])
  t.match(check({ fileName: '\u4f1a'.repeat(255), meetingId: 'm'.repeat(128) }), [{ pointer: '#/data/fileName', detail: /850 bytes/ }])
  t.match(check({ fileName: 'a\ud800' }), [{ pointer: '#/data/fileName', detail: /Unicode/ }])
})

t.test('settings of a store are all there or the start stops with one line', async (t) => {
  const load = (env: Record<string, string>) => loadBuiltinConfig(env, '/nonexistent').settings
  const all = { STORAGE_AWS_REGION: 'r', STORAGE_AWS_BUCKET: 'b', STORAGE_AWS_ACCESS_KEY_ID: 'a', STORAGE_AWS_SECRET_ACCESS_KEY: 'hush' }
  t.same(load({}).objectStorage.buckets, { aws: undefined, aliyun: undefined, tencent: undefined })
  t.match(load(all).objectStorage.buckets.aws, { region: 'r', bucket: 'b', forcePathStyle: false })
  for (const left of Object.keys(all)) {
    t.throws(() => load({ ...all, [left]: '' }), { message: `Configuration: STORAGE_AWS_ is incomplete; set ${left} too` })
  }
  t.throws(() => load({ STORAGE_TENCENT_ENDPOINT: 'http://localhost:1' }), { message: /STORAGE_TENCENT_ is incomplete/ })
  t.throws(() => load({ ...all, STORAGE_AWS_ENDPOINT: 'localhost' }), { message: /STORAGE_AWS_ENDPOINT/ })
  t.throws(() => load({ OUTBOUND_ALLOW_PORTS: '8443,x' }), { message: /OUTBOUND_ALLOW_PORTS/ })
  t.throws(() => load({ OUTBOUND_ALLOW_PRIVATE_HOSTS: 'localhost' }), { message: /OUTBOUND_ALLOW_PRIVATE_HOSTS/ })
  t.same(load({ OUTBOUND_ALLOW_PORTS: '8443, 9443' }).outbound.allowPorts, [8443, 9443])
  t.ok(load({}).objectStorage.upload.contentTypes.includes('video/*'))
})
