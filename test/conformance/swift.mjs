// Runs uploads against OpenStack Swift's S3 interface, which, unlike the fast test server, verifies signatures.
//
//   npm run test:conformance -- swift             on Debian with swift-proxy, -account, -container, -object and memcached
//   npm run test:conformance -- swift --install   as root: installs these packages first

import assert from 'node:assert/strict'
import { execFileSync, spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir, userInfo } from 'node:os'
import { join } from 'node:path'
import { CreateBucketCommand, GetObjectCommand, ListMultipartUploadsCommand, ListObjectsV2Command, S3Client } from '@aws-sdk/client-s3'
import { openObjectStorage } from '../../src/integrations/object-storage.ts'
import { freePorts } from './free-ports.mjs'

const packages = ['swift-proxy', 'swift-account', 'swift-container', 'swift-object', 'memcached']
const programs = ['swift-proxy-server', 'swift-account-server', 'swift-container-server', 'swift-object-server', 'memcached']
const swiftConf = '/etc/swift/swift.conf'
const startDeadlineMs = 60_000
const mebibyte = 1_048_576

const has = (program) => ['/usr/bin', '/usr/sbin', '/usr/local/bin'].some((path) => existsSync(join(path, program)))

const install = () => {
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }
  execFileSync('apt-get', ['install', '--no-install-recommends', '-y', ...packages], { env, stdio: ['ignore', 'ignore', 'inherit'] })
}

const until = async (what, holds) => {
  const deadline = Date.now() + startDeadlineMs
  while (!(await holds())) {
    if (Date.now() > deadline) throw new Error(`Not within ${startDeadlineMs} ms: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
}

/** Starts memcached and the four servers of Swift on loopback, all data below `directory`. */
const startSwift = async (directory, children) => {
  const [proxy, account, container, object, memcached] = await freePorts(5)
  mkdirSync(join(directory, 'devices/d1'), { recursive: true })
  // The servers read this one file from its fixed place; an existing one serves as well.
  if (!existsSync(swiftConf)) {
    mkdirSync('/etc/swift', { recursive: true })
    const policy = '[storage-policy:0]\nname = default\ndefault = yes\n'
    writeFileSync(swiftConf, `[swift-hash]\nswift_hash_path_prefix = jobgate\nswift_hash_path_suffix = jobgate\n${policy}`)
  }
  const base = (port) =>
    `[DEFAULT]\nbind_ip = 127.0.0.1\nbind_port = ${port}\nworkers = 0\nuser = ${userInfo().username}\nswift_dir = ${directory}\n`
  const write = (name, text) => writeFileSync(join(directory, name), text)
  for (const [name, port] of Object.entries({ account, container, object })) {
    const storage = `devices = ${directory}/devices\nmount_check = false\nrecon_cache_path = ${directory}\n`
    write(
      `${name}.conf`,
      `${base(port)}${storage}[pipeline:main]\npipeline = ${name}-server\n[app:${name}-server]\nuse = egg:swift#${name}\n`,
    )
    for (const args of [['create', '4', '1', '1'], ['add', `r1z1-127.0.0.1:${port}/d1`, '1'], ['rebalance']]) {
      execFileSync('swift-ring-builder', [`${name}.builder`, ...args], { cwd: directory, stdio: 'ignore' })
    }
  }
  const filters = ['catch_errors', 'gatekeeper', 'healthcheck', 'cache', 'listing_formats', 'bulk', 's3api', 'tempauth', 'slo', 'dlo']
  const settings = {
    cache: `memcache_servers = 127.0.0.1:${memcached}\n`,
    s3api: 'location = us-east-1\n',
    tempauth: 'user_jobgate_tester = swift-secret .admin\n',
  }
  const eggs = { cache: 'memcache' }
  const sections = filters.map((name) => `[filter:${name}]\nuse = egg:swift#${eggs[name] ?? name}\n${settings[name] ?? ''}`)
  write(
    'proxy.conf',
    `${base(proxy)}[pipeline:main]\npipeline = ${filters.join(' ')} proxy-server\n[app:proxy-server]\nuse = egg:swift#proxy\naccount_autocreate = true\n${sections.join('')}`,
  )
  const start = (program, args) => {
    const child = spawn(program, args, { stdio: ['ignore', 'ignore', 'pipe'] })
    let said = ''
    child.stderr.on('data', (chunk) => {
      said = `${said}${chunk}`.slice(-2000)
    })
    children.push(child)
    child.on('exit', (code) => {
      if (code) console.error(`${program} ended with ${code}: ${said}`)
    })
  }
  start('memcached', ['-l', '127.0.0.1', '-p', String(memcached), '-u', 'nobody'])
  for (const name of ['account', 'container', 'object', 'proxy']) start(`swift-${name}-server`, [join(directory, `${name}.conf`)])
  const endpoint = `http://127.0.0.1:${proxy}`
  await until('Swift answers', async () => {
    try {
      return (await fetch(`${endpoint}/healthcheck`)).ok
    } catch {
      return false
    }
  })
  return endpoint
}

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

const check = async (endpoint) => {
  const bucket = 'recordings'
  const settings = {
    region: 'us-east-1',
    bucket,
    accessKeyId: 'jobgate:tester',
    secretAccessKey: 'swift-secret',
    endpoint,
    forcePathStyle: true,
  }
  const opened = []
  const open = (provider, overrides = {}) => {
    const storage = openObjectStorage({
      config: {
        storage: { [provider]: { ...settings, ...overrides } },
        upload: { maxBytes: 1e9, contentTypes: [], partBytes: 5 * mebibyte, concurrency: 1, idleTimeoutMs: 5000 },
        outbound: { allowHosts: [], allowPorts: [], allowPrivateHosts: [], maxRedirects: 3 },
        queues: { concurrency: { 'external-api': 1 } },
      },
    })
    opened.push(storage)
    return storage.store(provider)
  }
  const { accessKeyId, secretAccessKey } = settings
  const client = new S3Client({ region: 'us-east-1', endpoint, forcePathStyle: true, credentials: { accessKeyId, secretAccessKey } })
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
    await until('the bucket is made', () =>
      client.send(new CreateBucketCommand({ Bucket: bucket })).then(
        () => true,
        () => false,
      ),
    )
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
    client.destroy()
    for (const storage of opened) await storage.close()
  }
}

if (process.argv.includes('--install')) install()
const missing = programs.filter((program) => !has(program))
if (missing.length > 0) {
  console.error(`Missing: ${missing.join(', ')}. Install the Debian packages ${packages.join(' ')}, or run with --install as root.`)
  process.exit(1)
}
const directory = mkdtempSync(join(tmpdir(), 'jg-swift-'))
const children = []
try {
  await check(await startSwift(directory, children))
} finally {
  for (const child of children) {
    child.removeAllListeners('exit')
    if (child.exitCode === null && child.kill()) await once(child, 'exit')
  }
  rmSync(directory, { recursive: true, force: true })
}
