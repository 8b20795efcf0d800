// Uploads many recordings through a gateway and a worker in processes of their own, and watches the memory of the worker.

import { spawn } from 'node:child_process'
import { createCipheriv, createHash } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import type { BucketSettings } from '../../src/vendors/object-storage/settings.js'
import { eventually } from './eventually.js'
import { root } from './source-files.js'
import { startSourceServer, stream } from './source-server.js'
import type { TestScope } from './start-redis.js'

const readyDeadlineMs = 60_000
const finishDeadlineMs = 600_000
const sampleEveryMs = 50
const chunkBytes = 65_536
const adminKey = 'admin-key-of-the-uploads'

/** What one upload has to end as, beside the size. */
export interface UploadedRecording {
  readonly key: string
  readonly sha256: string
  /** As `GET /v1/jobs/{id}` gives it. */
  readonly job: { readonly state: string; readonly result: Readonly<Record<string, unknown>> | null; readonly error: unknown }
}

/** Resident memory of the worker, in bytes. */
export interface WorkerMemory {
  /** Ready and idle. */
  readonly before: number
  /** The kernel's own high-water mark of the whole run. */
  readonly peak: number
  /** The highest sample in each quarter of the uploads: equal ones show that nothing grows with their number. */
  readonly quarters: readonly number[]
}

/** `size` bytes that no other index has: a key stream, so that they do not compress either. */
function* recordingOf(index: number, size: number): Generator<Buffer> {
  const seed = createHash('sha256').update(`recording ${index}`).digest()
  const cipher = createCipheriv('aes-256-ctr', seed, Buffer.alloc(16))
  for (let at = 0; at < size; at += chunkBytes) yield cipher.update(Buffer.alloc(Math.min(chunkBytes, size - at)))
}

const sha256Of = (index: number, size: number): string => {
  const hash = createHash('sha256')
  for (const chunk of recordingOf(index, size)) hash.update(chunk)
  return hash.digest('hex')
}

const kibibytes = async (pid: number, name: 'VmRSS' | 'VmHWM'): Promise<number> =>
  Number(new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(await readFile(`/proc/${pid}/status`, 'utf8'))?.[1]) * 1024

/** The built program, on `dataDir`; killed with the scope, resolved with what it runs as. */
const start = (t: TestScope, command: 'serve' | 'worker', dataDir: string, env: Record<string, string>) => {
  const child = spawn(process.execPath, [join(root, 'dist/main.js'), command], {
    // Away from the checkout, whose .env is not meant for this.
    cwd: dataDir,
    env: { PATH: process.env.PATH, DATA_DIR: dataDir, HOST: '127.0.0.1', LOG_LEVEL: 'info', ADMIN_API_KEY: adminKey, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const output: string[] = []
  for (const each of [child.stdout, child.stderr]) each.setEncoding('utf8').on('data', (text: string) => output.push(text))
  const exited = once(child, 'exit')
  t.after(async () => {
    child.kill('SIGTERM')
    await exited
  })
  /** The first line of its log that holds `message`. */
  const logged = async (message: string): Promise<Record<string, unknown>> => {
    const find = () =>
      output
        .join('')
        .split('\n')
        .find((line) => line.includes(`"${message}"`))
    await eventually(
      `${command} logs "${message}"`,
      () => {
        if (child.exitCode !== null || child.signalCode !== null) throw new Error(`${command} has ended:\n${output.join('')}`)
        return find() !== undefined
      },
      readyDeadlineMs,
    )
    return JSON.parse(find() as string) as Record<string, unknown>
  }
  return { pid: child.pid as number, logged }
}

/**
 * Submits `count` recordings of `sizeBytes` each, all at once, to a worker that uploads `atOnce` of them at a time, and resolves
 * when all have finished. Half of them name the SHA-256 that is expected.
 */
export const runUploads = async (
  t: TestScope,
  {
    store,
    count,
    sizeBytes,
    atOnce,
    partBytes,
  }: { store: BucketSettings; count: number; sizeBytes: number; atOnce: number; partBytes?: number },
): Promise<{ uploads: UploadedRecording[]; memory: WorkerMemory; tookMs: number }> => {
  const dataDir = await mkdtemp(join(tmpdir(), 'jg-'))
  t.after(() => rm(dataDir, { recursive: true, force: true, maxRetries: 20 }))
  const routes = Array.from({ length: count }, (_, index) => [
    `/${index}.mp4`,
    (_request: unknown, response: Parameters<typeof stream>[0]) => {
      response.writeHead(200, { 'content-type': 'video/mp4', 'content-length': sizeBytes })
      stream(response, recordingOf(index, sizeBytes))
    },
  ])
  const source = await startSourceServer(t, Object.fromEntries(routes))
  const env = {
    OUTBOUND_ALLOW_PRIVATE_HOSTS: `127.0.0.1:${source.port}`,
    STORAGE_AWS_REGION: store.region,
    STORAGE_AWS_BUCKET: store.bucket,
    STORAGE_AWS_ACCESS_KEY_ID: store.accessKeyId,
    STORAGE_AWS_SECRET_ACCESS_KEY: store.secretAccessKey,
    STORAGE_AWS_ENDPOINT: store.endpoint as string,
    STORAGE_AWS_FORCE_PATH_STYLE: String(store.forcePathStyle),
    UPLOAD_CONCURRENCY: String(atOnce),
    // One place of the queue is always left for other types.
    QUEUE_CONCURRENCY_EXTERNAL_API: String(atOnce + 1),
    RATE_LIMIT_MAX: '1000000',
    SHUTDOWN_DRAIN_MS: '0',
    ...(partBytes === undefined ? {} : { UPLOAD_PART_BYTES: String(partBytes) }),
  }
  const gateway = start(t, 'serve', dataDir, { ...env, PORT: '0' })
  const { address } = await gateway.logged('listening')
  await eventually('the gateway is ready', async () => (await fetch(`${address}/readyz`)).ok, readyDeadlineMs)
  const worker = start(t, 'worker', dataDir, { ...env, WORKER_METRICS_PORT: '0' })
  const metricsUrl = (await worker.logged('serving metrics')).url as string
  const finished = async () =>
    [...(await (await fetch(metricsUrl)).text()).matchAll(/^jobgate_attempts_total\{.*outcome="(?:completed|failed)".*\} (\d+)$/gm)].reduce(
      (sum, [, n]) => sum + Number(n),
      0,
    )
  const before = await kibibytes(worker.pid, 'VmRSS')

  const hashes = Array.from({ length: count }, (_, index) => sha256Of(index, sizeBytes))
  const items = hashes.map((sha256, index) => ({
    type: 'upload-recording',
    data: {
      fileUrl: `${source.url}/${index}.mp4`,
      fileName: `${index}.mp4`,
      meetingId: 'many',
      storageProvider: 'aws',
      ...(index % 2 === 0 ? { sizeBytes, sha256 } : {}),
    },
  }))
  const headers = { authorization: `Bearer ${adminKey}`, 'content-type': 'application/json' }
  const startedAt = performance.now()
  const answer = await fetch(`${address}/v1/jobs/batch`, { method: 'POST', headers, body: JSON.stringify({ items }) })
  const accepted = ((await answer.json()) as { items: { id: string; status: number }[] }).items
  const refused = accepted.filter(({ status }) => status !== 202)
  if (refused.length > 0) throw new Error(`refused: ${JSON.stringify(refused[0])}`)

  const quarters = [0, 0, 0, 0]
  const deadline = Date.now() + finishDeadlineMs
  for (let done = 0; done < count; done = await finished()) {
    if (Date.now() > deadline) throw new Error(`${done} of ${count} uploads have finished within ${finishDeadlineMs} ms`)
    const quarter = Math.floor((done * 4) / count)
    quarters[quarter] = Math.max(quarters[quarter] as number, await kibibytes(worker.pid, 'VmRSS'))
    await pause(sampleEveryMs)
  }
  const tookMs = performance.now() - startedAt
  const peak = await kibibytes(worker.pid, 'VmHWM')

  const uploads: UploadedRecording[] = []
  for (const [index, { id }] of accepted.entries()) {
    const view = await fetch(`${address}/v1/jobs/${id}`, { headers: { ...headers, prefer: 'wait=30' } })
    const job = (await view.json()) as UploadedRecording['job']
    uploads.push({ key: `recordings/many/${index}.mp4`, sha256: hashes[index] as string, job })
  }
  return { uploads, memory: { before, peak, quarters }, tookMs }
}
