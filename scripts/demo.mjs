// `npm run demo`: every job type once, end to end on this machine alone, and proof that no secret is left lying about.
// Ends by itself; status 0 only if all jobs completed, each with its proof, and no secret was found where none belongs.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const deadlineMs = 240_000
// The SDK that the demo reads the object store with warns of versions to come.
process.env.AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED = 'true'

process.chdir(fileURLToPath(new URL('..', import.meta.url)))
const colors = process.stdout.isTTY && !process.env.NO_COLOR
const paint = (code) => (text) => (colors ? `\x1b[${code}m${text}\x1b[0m` : text)
const [bold, green, red] = ['1', '32', '31'].map(paint)
const step = (text) => console.log(`${green('•')} ${text}`)

/** The demo has a Redis of its own: settings for another one must not keep it from being installed. */
const ensureInstalled = async (signal) => {
  const env = { ...process.env, REDIS_URL: '', REDIS_HOST: '', REDIS_CLUSTER_NODES: '', REDIS_SENTINELS: '' }
  const child = spawn(process.execPath, ['scripts/ensure-installed.mjs', '--redis', '--build'], { stdio: 'inherit', env, signal })
  const [status] = await once(child, 'exit')
  if (status !== 0) throw new Error('the installation failed; see above')
}

/** Columns as wide as their widest entry; the last one is left ragged. */
const toTable = (rows) => {
  const widths = rows[0].map((_, column) => Math.max(...rows.map((row) => row[column].length)))
  const toLine = (row) => row.map((text, column) => (column === row.length - 1 ? text : text.padEnd(widths[column]))).join('  ')
  const [head, ...body] = rows.map(toLine)
  return [bold(head), ...body].join('\n')
}

/** Submits one job after the other and waits for all of them together. */
const runJobs = async (jobs, client) => {
  const running = []
  for (const job of jobs) running.push({ job, id: await (job.submit ?? client.submit)(job) })
  return Promise.all(
    running.map(async ({ job, id }) => {
      const view = await client.finished(id)
      if (view.state !== 'completed') return { id, row: [job.type, view.state, view.error?.code ?? '', ''], isGood: false }
      try {
        return { id, row: [job.type, view.state, job.brief(view.result), await job.prove(view)], isGood: true }
      } catch (error) {
        return { id, row: [job.type, view.state, job.brief(view.result), `NO PROOF: ${error.message}`], isGood: false }
      }
    }),
  )
}

const main = async (stopping, closers) => {
  console.log(bold('Jobgate demo'))
  step('Installing what is missing (only the first time)')
  await ensureInstalled(stopping.signal)

  // Imported only now: on a bare checkout their packages have just been installed.
  const { register } = await import('tsx/esm/api')
  register()
  const [{ startStandIns }, { createJobs }, { startGateway }, { findSecrets, readRedis, readFiles }] = await Promise.all([
    import('./demo/stand-ins.mjs'),
    import('./demo/jobs.mjs'),
    import('./demo/gateway.mjs'),
    import('./demo/search.mjs'),
  ])
  const scope = { after: (close) => closers.push(close) }

  const dataDir = await mkdtemp(join(tmpdir(), 'jg-'))
  scope.after(() => rm(dataDir, { recursive: true, force: true }))
  const standIns = await startStandIns(scope)
  step('Starting stand-ins on loopback: mail server, object storage, recording source, Lark, Tencent Meeting and Aliyun')
  step('Starting the gateway with workers and its own Redis')
  const gateway = await startGateway({ dataDir, env: standIns.env, signal: stopping.signal })
  scope.after(gateway.stop)

  const jobs = createJobs({ standIns, gateway })
  step(`Submitting ${jobs.length} jobs over HTTP`)
  const ended = await runJobs(jobs, gateway)
  console.log(`\n${toTable([['type', 'state', 'result', 'proof'], ...ended.map(({ row }) => row)])}\n`)

  for (const { id } of ended) await gateway.readEverything(id)
  const redis = await readRedis(dataDir)
  await gateway.stop()
  const places = {
    'log lines': gateway.logs,
    'HTTP responses': gateway.answers,
    'Redis entries': redis,
    'Redis files': await readFiles(dataDir),
  }
  const secrets = Object.entries(standIns.secrets)
  // A search that finds nothing proves something only where it can find what is there.
  const blind = Object.entries(places).filter(([, texts]) => !ended.every(({ id }) => texts.some((text) => text.includes(id))))
  const leaks = Object.entries(places).flatMap(([place, texts]) =>
    findSecrets(standIns.secrets, texts).map((name) => `${name} in ${place}`),
  )
  const counts = Object.entries(places).map(([place, texts]) => `${texts.length} ${place}`)
  step(`Looked for ${secrets.length} secrets (${secrets.map(([name]) => name).join(', ')}) in ${counts.join(', ')}`)
  for (const leak of leaks) console.log(red(`  found: ${leak}`))
  for (const [place] of blind) console.log(red(`  not every job was found in ${place}: the search cannot be trusted`))
  if (leaks.length === 0 && blind.length === 0) console.log('  none was found')

  const good = ended.filter(({ isGood }) => isGood).length
  const isGood = good === jobs.length && leaks.length === 0 && blind.length === 0
  console.log(`${isGood ? green('✓') : red('✗')} ${good} of ${jobs.length} job types completed with proof, ${leaks.length} secrets found`)
  if (!isGood) process.exitCode = 1
}

const stopping = new AbortController()
for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(name, () => stopping.abort(new Error('stopped')))
const limit = setTimeout(() => stopping.abort(new Error(`the demo took longer than ${deadlineMs / 1000} s`)), deadlineMs)

const closers = []
try {
  await main(stopping, closers)
} catch (error) {
  console.error(`${red('✗')} ${(stopping.signal.reason ?? error).message}`)
  process.exitCode = 1
} finally {
  clearTimeout(limit)
  for (const close of closers.reverse()) await close()
}
