// `npm run quickstart`: from a bare checkout to a finished job, on this machine alone, shown step by step.
// Stays up until Ctrl-C; `npm run quickstart -- --once` ends after the round trip, with status 0 when all went well.

import { spawn } from 'node:child_process'
import { randomInt, randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { closeSync, mkdirSync, openSync, readFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join, resolve } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { parseArgs, parseEnv } from 'node:util'

const startDeadlineMs = 60_000
const jobDeadlineMs = 60_000
const stopDeadlineMs = 20_000

const { values: options } = parseArgs({ options: { once: { type: 'boolean', default: false } } })
process.chdir(fileURLToPath(new URL('..', import.meta.url)))

const colors = process.stdout.isTTY && !process.env.NO_COLOR
const paint = (code) => (text) => (colors ? `\x1b[${code}m${text}\x1b[0m` : text)
const [bold, green, red] = ['1', '32', '31'].map(paint)
const say = (text = '') => console.log(text)
const step = (text) => say(`${green('•')} ${text}`)
const indent = (text, by) => text.replace(/^/gm, ' '.repeat(by))

/** Settings for another Redis are blanked: the quick start touches nothing but its own. */
const noOtherRedis = { REDIS_URL: '', REDIS_HOST: '', REDIS_CLUSTER_NODES: '', REDIS_SENTINELS: '' }

const ensureInstalled = async (signal) => {
  const env = { ...process.env, ...noOtherRedis }
  const child = spawn(process.execPath, ['scripts/ensure-installed.mjs', '--redis', '--build'], { stdio: 'inherit', env, signal })
  const [status] = await once(child, 'exit')
  if (status !== 0) throw new Error('the installation failed; see above')
}

/** What the environment or `.env` says; an empty value counts as none. */
const readSetting = () => {
  let file = {}
  try {
    file = parseEnv(readFileSync('.env', 'utf8'))
  } catch (error) {
    if (error.code !== 'ENOENT') throw error
  }
  return (name) => process.env[name] || file[name] || undefined
}

/**
 * Gives `work` a signal that fires at a stop, or after `deadlineMs` with an error that says what took so long.
 * Not AbortSignal.any over AbortSignal.timeout: on Node 20 that may be collected before it fires.
 */
const within = async (deadlineMs, what, stopping, work) => {
  const limit = new AbortController()
  const stop = () => limit.abort(stopping.signal.reason)
  stopping.signal.addEventListener('abort', stop)
  const timer = setTimeout(() => limit.abort(new Error(`${what} took longer than ${deadlineMs / 1000} s`)), deadlineMs)
  try {
    limit.signal.throwIfAborted()
    return await work(limit.signal)
  } finally {
    clearTimeout(timer)
    stopping.signal.removeEventListener('abort', stop)
  }
}

const isFree = async (port, host) => {
  const server = createServer()
  server.listen(port, host)
  try {
    await once(server, 'listening')
  } catch (error) {
    if (error.code === 'EADDRINUSE') return false
    throw error
  }
  server.close()
  await once(server, 'close')
  return true
}

/** PORT as it is; without one, 3000 or the next that is free. */
const choosePort = async (asked, host) => {
  if (asked !== undefined) return Number(asked)
  for (let port = 3000; port < 3100; port++) if (await isFree(port, host)) return port
  throw new Error('no free port between 3000 and 3099: set PORT')
}

/** Starts the built gateway beside its own Redis. Its log goes to a file, so that the steps stay readable. */
const startGateway = ({ host, port, dataDir, smtpUrl }) => {
  mkdirSync(dataDir, { recursive: true, mode: 0o700 })
  const logPath = join(dataDir, 'gateway.log')
  const log = openSync(logPath, 'w', 0o600)
  const child = spawn(process.execPath, ['--import', new URL('exit-with-parent.mjs', import.meta.url).href, 'dist/main.js', 'serve'], {
    env: {
      ...process.env,
      ...noOtherRedis,
      HOST: host,
      PORT: String(port),
      DATA_DIR: dataDir,
      SMTP_URL: smtpUrl,
      WORKERS_ENABLED: 'true',
      SHUTDOWN_DRAIN_MS: '0',
    },
    // A process group of its own: Ctrl-C reaches this script alone, which then stops the gateway once and in order.
    detached: true,
    stdio: ['ignore', log, log, 'ipc'],
  })
  closeSync(log)
  return { child, logPath }
}

const hasExited = (child) => child.exitCode !== null || child.signalCode !== null

const requireRunning = ({ child, logPath }) => {
  if (!hasExited(child)) return
  const tail = readFileSync(logPath, 'utf8').trimEnd().split('\n').slice(-15).join('\n')
  throw new Error(`the gateway stopped (${child.signalCode ?? `status ${child.exitCode}`}); the end of ${logPath}:\n${indent(tail, 4)}`)
}

const waitUntilReady = async (gateway, url, signal) => {
  for (;;) {
    requireRunning(gateway)
    const answer = await fetch(`${url}/readyz`, { signal }).catch((error) => {
      // Not listening yet.
      if (error.cause?.code === 'ECONNREFUSED') return null
      throw error
    })
    await answer?.body?.cancel()
    if (answer?.ok) return
    await pause(100, undefined, { signal })
  }
}

/** The events of one job, as `{ event, data }`, until the server closes the stream. */
async function* readEvents(url, headers, signal) {
  const answer = await fetch(url, { headers: { ...headers, accept: 'text/event-stream' }, signal })
  if (!answer.ok) throw new Error(`GET ${url} returned ${answer.status}: ${await answer.text()}`)
  let buffered = ''
  for await (const chunk of answer.body.pipeThrough(new TextDecoderStream())) {
    buffered += chunk.replaceAll('\r\n', '\n')
    const blocks = buffered.split('\n\n')
    buffered = blocks.pop()
    for (const block of blocks) {
      const field = (name) => new RegExp(`^${name}: ?(.*)$`, 'm').exec(block)?.[1]
      if (field('data') !== undefined) yield { event: field('event') ?? 'message', data: field('data') }
    }
  }
}

/** Sends one job through and shows each state. Throws unless it completes and its mail arrives. */
const sendOneJob = async ({ url, key, mailArrived, signal }) => {
  const headers = { authorization: `Bearer ${key}` }
  const code = String(randomInt(100_000, 1_000_000))
  const answer = await fetch(`${url}/v1/jobs`, {
    method: 'POST',
    headers: { ...headers, 'content-type': 'application/json', 'idempotency-key': `"${randomUUID()}"` },
    body: JSON.stringify({ type: 'send-verification-email', data: { to: 'user@example.com', verificationCode: code } }),
    signal,
  })
  if (answer.status !== 202) throw new Error(`POST /v1/jobs returned ${answer.status}: ${await answer.text()}`)
  const { id } = await answer.json()
  say(`  ${bold('accepted')}   ${id}`)

  const names = { active: 'running', completed: 'completed', failed: 'failed', cancelled: 'cancelled', retrying: 'retrying' }
  let shown = 'accepted'
  for await (const { event } of readEvents(`${url}/v1/jobs/${id}/events`, headers, signal)) {
    const name = names[event]
    if (name === undefined || name === shown) continue
    // The job may be through before the stream is open; it ran all the same.
    if (name === 'completed' && shown === 'accepted') say(`  ${bold('running')}`)
    say(`  ${bold(name)}`)
    shown = name
  }
  const job = await (await fetch(`${url}/v1/jobs/${id}`, { headers, signal })).json()
  if (job.state !== 'completed') throw new Error(`the job ended as ${job.state}: ${JSON.stringify(job.error)}`)
  await Promise.race([mailArrived, once(signal, 'abort').then(() => signal.throwIfAborted())])
}

const stopGateway = async ({ child }) => {
  if (hasExited(child)) return
  const exited = once(child, 'exit')
  child.kill('SIGTERM')
  const timer = setTimeout(() => child.kill('SIGKILL'), stopDeadlineMs)
  await exited
  clearTimeout(timer)
}

const main = async (stopping) => {
  say(bold('Jobgate quick start'))
  step('Installing what is missing (only the first time)')
  await ensureInstalled(stopping.signal)

  const setting = readSetting()
  const host = setting('HOST') ?? '127.0.0.1'
  const dataDir = resolve(setting('DATA_DIR') ?? '.jobgate')
  const port = await choosePort(setting('PORT'), host)
  const url = `http://${host === '0.0.0.0' ? '127.0.0.1' : host}:${port}`

  // Imported only now: on a bare checkout its packages have just been installed.
  const { startMailbox, toLines } = await import('./mailbox.mjs')
  let firstMail
  const mailArrived = new Promise((arrived) => {
    firstMail = arrived
  })
  const mailbox = await startMailbox({
    port: 0,
    onMail(mail) {
      say(toLines(mail))
      firstMail()
    },
  })
  const gateway = startGateway({ host, port, dataDir, smtpUrl: mailbox.url })
  const exited = once(gateway.child, 'exit')
  try {
    step(`Starting a mailbox on ${mailbox.url}, Redis and the gateway (log: ${gateway.logPath})`)
    await within(startDeadlineMs, `the start (see ${gateway.logPath})`, stopping, (signal) => waitUntilReady(gateway, url, signal))
    const key = setting('ADMIN_API_KEY') ?? readFileSync(join(dataDir, 'admin-api-key'), 'utf8').trim()
    step(`Ready: ${url}`)
    say(`  API key        ${key}`)
    say(`  Documentation  ${url}/docs`)
    say('\n  Send a job yourself:\n')
    say(
      indent(
        `curl -sS ${url}/v1/jobs -H 'Authorization: Bearer ${key}' \\\n  -H 'Content-Type: application/json' -H 'Idempotency-Key: "${randomUUID()}"' \\\n  -d '{"type":"send-verification-email","data":{"to":"you@example.com","verificationCode":"123456"}}'`,
        4,
      ),
    )
    say()
    step('Sending one send-verification-email job')
    await within(jobDeadlineMs, `the job (see ${gateway.logPath})`, stopping, (signal) => sendOneJob({ url, key, mailArrived, signal }))
    if (options.once) {
      step('Done')
      return
    }
    step('Running until you press Ctrl+C; e-mails appear here as they arrive')
    await Promise.race([exited, once(stopping.signal, 'abort')])
    if (!stopping.signal.aborted) requireRunning(gateway)
  } finally {
    await stopGateway(gateway)
    await mailbox.close()
  }
}

const stopping = new AbortController()
for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(name, () => stopping.abort())

try {
  await main(stopping)
  if (stopping.signal.aborted) say(`\n${green('•')} Stopped`)
} catch (error) {
  if (stopping.signal.aborted) {
    say(`\n${green('•')} Stopped`)
    if (options.once) process.exitCode = 1
  } else {
    console.error(`${red('✗')} ${error.message}`)
    process.exitCode = 1
  }
}
