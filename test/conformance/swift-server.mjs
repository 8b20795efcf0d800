// OpenStack Swift with its S3 interface, which verifies signatures and keeps objects on disk: Debian's packages, on loopback.

import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir, userInfo } from 'node:os'
import { join } from 'node:path'
import { CreateBucketCommand, S3Client } from '@aws-sdk/client-s3'
import { freePorts } from './free-ports.mjs'

const packages = ['swift-proxy', 'swift-account', 'swift-container', 'swift-object', 'memcached']
const programs = ['swift-proxy-server', 'swift-account-server', 'swift-container-server', 'swift-object-server', 'memcached']
const swiftConf = '/etc/swift/swift.conf'
const startDeadlineMs = 60_000

const has = (program) => ['/usr/bin', '/usr/sbin', '/usr/local/bin'].some((path) => existsSync(join(path, program)))

/** Whether all its programs are there; `--install` among the arguments has them installed first, as root. */
export const hasSwift = () => {
  if (process.argv.includes('--install')) {
    const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }
    execFileSync('apt-get', ['install', '--no-install-recommends', '-y', ...packages], { env, stdio: ['ignore', 'ignore', 'inherit'] })
  }
  const missing = programs.filter((program) => !has(program))
  if (missing.length > 0) {
    console.error(`Missing: ${missing.join(', ')}. Install the Debian packages ${packages.join(' ')}, or run with --install as root.`)
  }
  return missing.length === 0
}

const until = async (what, holds) => {
  const deadline = Date.now() + startDeadlineMs
  while (!(await holds())) {
    if (Date.now() > deadline) throw new Error(`Not within ${startDeadlineMs} ms: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
}

/** Resolves with the endpoint. */
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

/**
 * Starts memcached and the four servers of Swift on loopback for as long as `use` takes, with one empty bucket.
 * `use` gets the settings of a store and a client of the same account.
 */
export const withSwift = async (use) => {
  const directory = mkdtempSync(join(tmpdir(), 'jg-swift-'))
  const children = []
  let client
  try {
    const endpoint = await startSwift(directory, children)
    const credentials = { accessKeyId: 'jobgate:tester', secretAccessKey: 'swift-secret' }
    const settings = { region: 'us-east-1', bucket: 'recordings', ...credentials, endpoint, forcePathStyle: true }
    client = new S3Client({ region: settings.region, endpoint, forcePathStyle: true, credentials })
    await until('the bucket is made', () =>
      client.send(new CreateBucketCommand({ Bucket: settings.bucket })).then(
        () => true,
        () => false,
      ),
    )
    await use(settings, client)
  } finally {
    client?.destroy()
    for (const child of children) {
      child.removeAllListeners('exit')
      if (child.exitCode === null && child.kill()) await once(child, 'exit')
    }
    rmSync(directory, { recursive: true, force: true })
  }
}
