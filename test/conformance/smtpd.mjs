// Debian's OpenSMTPD in a root directory of its own: no package is installed, no file and no port of the system's is used.

import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { createConnection } from 'node:net'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { eventually } from '../helpers/eventually.ts'
import { freePorts } from './free-ports.mjs'

/** Of Debian 12's OpenSMTPD 6.8 the TLS does not work with its OpenSSL 3 (OpenSMTPD issue 1239); the one after it is fine. */
const suite = 'trixie'
/** The server, the shell it delivers through, and the libraries of both. */
const packages = [
  'opensmtpd',
  'dash',
  'libaudit1',
  'libc6',
  'libcap-ng0',
  'libcrypt1',
  'libdb5.3t64',
  'libevent-2.1-7t64',
  'libpam0g',
  'libssl3t64',
  'libzstd1',
  'zlib1g',
]
const cache = fileURLToPath(new URL(`../../node_modules/.cache/opensmtpd-${suite}`, import.meta.url))
const startDeadlineMs = 30_000

/** Users of the root directory alone. Its files belong to their numbers, which no account of the system should have. */
const users = { opensmtpd: 65_501, opensmtpq: 65_502, vmail: 65_503 }

/** Fetches the packages with apt, which checks their signatures, into lists of its own. 17 MB, once. */
const fetchPackages = () => {
  if (existsSync(cache)) return
  const work = `${cache}.new`
  rmSync(work, { recursive: true, force: true })
  for (const folder of ['lists/partial', 'archives/partial', 'debs']) mkdirSync(join(work, folder), { recursive: true })
  writeFileSync(join(work, 'sources.list'), `deb http://deb.debian.org/debian ${suite} main\n`)
  writeFileSync(join(work, 'status'), '')
  const settings = {
    'Dir::Etc::SourceList': join(work, 'sources.list'),
    'Dir::Etc::SourceParts': '-',
    'Dir::State::Lists': join(work, 'lists'),
    'Dir::State::Status': join(work, 'status'),
    'Dir::Cache': work,
    'Dir::Cache::Archives': join(work, 'archives'),
    // Its usual user may not enter a checkout of root's.
    'APT::Sandbox::User': 'root',
  }
  const options = Object.entries(settings).map(([name, value]) => `-o${name}=${value}`)
  const apt = (...args) =>
    execFileSync('apt-get', ['-qq', ...options, ...args], { cwd: join(work, 'debs'), stdio: ['ignore', 'ignore', 'inherit'] })
  apt('update')
  apt('download', ...packages)
  renameSync(join(work, 'debs'), cache)
  rmSync(work, { recursive: true, force: true })
}

const makeRoot = (root, { ports, login, recipients }) => {
  for (const deb of readdirSync(cache)) execFileSync('dpkg-deb', ['-x', join(cache, deb), root])
  for (const folder of ['bin', 'sbin', 'lib', 'lib64']) symlinkSync(`usr/${folder}`, join(root, folder))
  for (const folder of ['dev', 'etc/ssl/certs', 'mail', 'run', 'tmp', 'var/lib/opensmtpd/empty', 'var/spool']) {
    mkdirSync(join(root, folder), { recursive: true })
  }
  symlinkSync('/run', join(root, 'var/run'))
  const write = (name, text, mode = 0o644) => writeFileSync(join(root, name), text, { mode })
  write('dev/null', '', 0o666)
  const accounts = Object.entries({ root: 0, ...users })
  write('etc/passwd', accounts.map(([name, id]) => `${name}:x:${id}:${id}::/var/lib/opensmtpd/empty:/bin/false\n`).join(''))
  write('etc/group', accounts.map(([name, id]) => `${name}:x:${id}:\n`).join(''))
  write('etc/nsswitch.conf', 'passwd: files\ngroup: files\nhosts: files\n')
  write('etc/hosts', '127.0.0.1 localhost\n')
  chownSync(join(root, 'mail'), users.vmail, users.vmail)

  const key = ['-newkey', 'rsa:2048', '-nodes', '-keyout', join(root, 'etc/mx.key'), '-out', join(root, 'etc/mx.crt')]
  execFileSync('openssl', ['req', '-x509', ...key, '-days', '2', '-subj', '/CN=localhost', '-addext', 'subjectAltName=IP:127.0.0.1'], {
    stdio: 'ignore',
  })
  chmodSync(join(root, 'etc/mx.key'), 0o600)
  // It does not start without authorities for what it would send on, which is nothing here.
  write('etc/ssl/certs/ca-certificates.crt', readFileSync(join(root, 'etc/mx.crt')))

  const hash = execFileSync('chroot', [root, '/usr/libexec/opensmtpd/encrypt', login.pass], { encoding: 'utf8' })
  write('etc/logins', `${login.user} ${hash}`)
  write('etc/people', recipients.map((address) => `${address}\n`).join(''))
  write(
    'etc/smtpd.conf',
    [
      'pki localhost cert "/etc/mx.crt"',
      'pki localhost key "/etc/mx.key"',
      'table logins file:/etc/logins',
      'table people file:/etc/people',
      'table boxes { "@" = vmail }',
      `listen on 127.0.0.1 port ${ports.plain}`,
      `listen on 127.0.0.1 port ${ports.starttls} tls-require pki localhost auth <logins>`,
      `listen on 127.0.0.1 port ${ports.smtps} smtps pki localhost auth <logins>`,
      'action "keep" maildir "/mail/%{rcpt.user}" virtual <boxes>',
      'match from any for domain "example.com" rcpt-to <people> action "keep"',
      '',
    ].join('\n'),
  )
}

const isOpen = (port) =>
  new Promise((resolve) => {
    const socket = createConnection({ host: '127.0.0.1', port })
    socket.on('connect', () => resolve(true)).on('error', () => resolve(false))
    socket.on('connect', () => socket.destroy())
  })

/**
 * Needs root, for chroot and the users it runs as. Mail for `recipients`, all of example.com, is kept; other recipients get 550.
 * `plain` asks for no login; `starttls` and `smtps` want `login` over TLS, whose certificate is in `certificate`.
 */
export const startSmtpd = async (root, { login, recipients, scope }) => {
  fetchPackages()
  const [plain, starttls, smtps] = await freePorts(3)
  const ports = { plain, starttls, smtps }
  makeRoot(root, { ports, login, recipients })
  const child = spawn('chroot', [root, '/usr/sbin/smtpd', '-d', '-f', '/etc/smtpd.conf'], { stdio: ['ignore', 'ignore', 'pipe'] })
  const exited = once(child, 'exit')
  let said = ''
  child.stderr.setEncoding('utf8').on('data', (text) => {
    said += text
  })
  scope.after(async () => {
    if (child.exitCode === null) child.kill('SIGTERM')
    await exited
  })
  for (const port of Object.values(ports)) {
    await eventually(
      'OpenSMTPD listens',
      async () => {
        if (child.exitCode !== null) throw new Error(`OpenSMTPD has ended:\n${said}`)
        return isOpen(port)
      },
      startDeadlineMs,
    )
  }
  const boxOf = (address) => join(root, 'mail', address.split('@')[0], 'new')
  return {
    ports,
    version: /OpenSMTPD (\S+)/.exec(said)?.[1],
    certificate: join(root, 'etc/mx.crt'),
    /** What it logged. */
    log: () => said,
    /** Messages in the box of the address, as they lie there. */
    delivered: (address) =>
      existsSync(boxOf(address)) ? readdirSync(boxOf(address)).map((file) => readFileSync(join(boxOf(address), file))) : [],
  }
}
