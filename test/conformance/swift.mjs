// Runs uploads against OpenStack Swift's S3 interface, which, unlike the fast test server, verifies signatures.
//
//   npm run test:conformance -- swift             on Debian with swift-proxy, -account, -container, -object and memcached
//   npm run test:conformance -- swift --install   as root: installs these packages first

import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { GetObjectCommand, ListMultipartUploadsCommand, ListObjectsV2Command } from '@aws-sdk/client-s3'
import { openObjectStorage } from '../../src/vendors/object-storage/object-storage.ts'
import { hasSwift, withSwift } from './swift-server.mjs'

const mebibyte = 1_048_576

function* recording(size) {
  for (let at = 0, index = 0; at < size; at += 65_536, index += 1) yield Buffer.alloc(Math.min(65_536, size - at), index % 251)
}
const sha256 = (size) => [...recording(size)].reduce((hash, chunk) => hash.update(chunk), createHash('sha256')).digest('hex')
async function* bytes(size) {
  yield* recording(size)
}
async function* cut(size) {
  yield* recording(size)
  throw new Error('cut')
}

const check = async (settings, client) => {
  const { bucket } = settings
  const opened = []
  const open = (provider, overrides = {}) => {
    const storage = openObjectStorage({
      settings: {
        buckets: { [provider]: { ...settings, ...overrides } },
        upload: { maxBytes: 1e9, contentTypes: [], partBytes: 5 * mebibyte, concurrency: 1, idleTimeoutMs: 5000 },
      },
      outbound: { allowHosts: [], allowPorts: [], allowPrivateHosts: [], maxRedirects: 3 },
      placesAtOnce: 1,
    })
    opened.push(storage)
    return storage.store(provider)
  }
  const ask = (key, body, overrides = {}) => ({
    key: `recordings/m/${key}`,
    body,
    contentType: 'video/mp4',
    metadata: { 'job-id': 'ext_1' },
    expected: {},
    sizeBytesMax: 100 * mebibyte,
    overwrite: false,
    signal: new AbortController().signal,
    ...overrides,
  })
  const left = async () => {
    const { Contents = [] } = await client.send(new ListObjectsV2Command({ Bucket: bucket }))
    const { Uploads = [] } = await client.send(new ListMultipartUploadsCommand({ Bucket: bucket }))
    return { objects: Contents.map(({ Key, Size }) => `${Key} ${Size}`), openUploads: Uploads.length }
  }
  let passed = 0
  const step = async (name, run) => {
    await run()
    passed += 1
    console.log(`ok ${passed} - ${name}`)
  }
  try {
    const store = open('aws')
    for (const [key, size] of [
      ['small é+.mp4', 1024],
      ['large.mp4', 11 * mebibyte],
    ]) {
      await step(`${key} is stored under a verified signature`, async () => {
        const outcome = await store.put(ask(key, bytes(size)))
        assert.equal(outcome.kind, 'stored', JSON.stringify(outcome))
        assert.equal(outcome.sha256, sha256(size))
        const { Body, Metadata } = await client.send(new GetObjectCommand({ Bucket: bucket, Key: `recordings/m/${key}` }))
        assert.equal(
          createHash('sha256')
            .update(await Body.transformToByteArray())
            .digest('hex'),
          sha256(size),
        )
        assert.deepEqual(Metadata, { 'job-id': 'ext_1' })
      })
      await step(`${key} is not overwritten by another job`, async () => {
        const outcome = await store.put(ask(key, bytes(size + 1), { metadata: { 'job-id': 'ext_2' } }))
        assert.equal(outcome.kind, 'exists', JSON.stringify(outcome))
        assert.equal(outcome.object.sizeBytes, size)
      })
      await step(`${key} is overwritten on demand`, async () => {
        const outcome = await store.put(ask(key, bytes(size + 2), { metadata: { 'job-id': 'ext_2' }, overwrite: true }))
        assert.equal(outcome.kind, 'stored', JSON.stringify(outcome))
      })
    }
    const before = await left()
    for (const provider of ['aliyun', 'tencent']) {
      await step(`the header of ${provider} is covered by the signature`, async () => {
        const outcome = await open(provider).put(ask('large.mp4', bytes(6 * mebibyte), { overwrite: false, key: `recordings/${provider}` }))
        assert.equal(outcome.kind, 'stored', JSON.stringify(outcome))
      })
    }
    await step('a wrong secret is refused', async () => {
      const wrong = open('aws', { secretAccessKey: 'wrong' })
      for (const size of [1024, 6 * mebibyte]) {
        const outcome = await wrong.put(ask('denied', bytes(size)))
        assert.deepEqual([outcome.kind, outcome.code], ['refused', 'upload.store_denied'], JSON.stringify(outcome))
        assert.match(outcome.message, /403/)
      }
    })
    await step('a source that breaks off leaves neither object nor open upload', async () => {
      for (const size of [1024, 6 * mebibyte]) assert.equal((await store.put(ask('cut', cut(size)))).kind, 'source-failed')
    })
    await step('an abort leaves neither object nor open upload', async () => {
      const controller = new AbortController()
      const onBytes = async (sizeBytes) => {
        if (sizeBytes > 10 * mebibyte) controller.abort()
      }
      const outcome = await store.put(ask('aborted', bytes(11 * mebibyte), { signal: controller.signal, onBytes }))
      assert.equal(outcome.kind, 'aborted', JSON.stringify(outcome))
    })
    const after = await left()
    assert.deepEqual(
      after.objects.filter((object) => !/(aliyun|tencent) /.test(object)),
      before.objects,
    )
    assert.equal(after.openUploads, 0)
    console.log(`1..${passed}`)
  } finally {
    for (const storage of opened) await storage.close()
  }
}

if (!hasSwift()) process.exit(1)
await withSwift(check)
