// What is attacked: a gateway with the defaults of the product on its own Redis, a worker, two tenants, and a client that means well.

import { fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { childEnvironment } from '../helpers/child-environment.js'
import { startSmtpReceiver } from '../helpers/smtp-receiver.js'
import { createClient } from './client.js'
import type { GoodReport } from './good-client.js'
import { issueKeys, type Keys } from './keys.js'
import { createLogWatch } from './log-watch.js'
import { type GatewayProcess, startGateway, startWorker } from './processes.js'
import { vendorSettings } from './vendor-secrets.js'

export interface WorldSettings {
  /** On top of the defaults of the product. */
  readonly env?: Readonly<Record<string, string>>
  /** `ulimit -n` of the gateway. */
  readonly descriptorsMax?: number
}

const tsx = import.meta.resolve('tsx')
const goodClient = fileURLToPath(new URL('good-client.ts', import.meta.url))
/** A process that has just started grows: the first look at its memory comes after this many of each request. */
const warmUpRounds = 300
/** The good client goes on this long before anything is attacked. */
const warmUpMs = 1500

/** Starts everything; `close` ends it, the last first. */
export const openWorld = async ({ env = {}, descriptorsMax }: WorldSettings = {}) => {
  const undone: (() => unknown)[] = []
  const after = (undo: () => unknown) => void undone.push(undo)
  const close = async () => {
    for (const undo of undone.splice(0).reverse()) await undo()
  }
  try {
    const dataDir = await mkdtemp(join(tmpdir(), 'jg-'))
    after(() => rm(dataDir, { recursive: true, force: true, maxRetries: 20 }))
    const log = createLogWatch()
    const mail = await startSmtpReceiver()
    after(mail.close)
    const settings = { dataDir, env: { ...vendorSettings, SMTP_URL: mail.url, ...env }, log, after }
    const gateway = await startGateway({ ...settings, descriptorsMax })
    const worker = startWorker(settings)
    const admin = (await readFile(join(dataDir, 'admin-api-key'), 'utf8')).trim()
    const keys = await issueKeys(gateway.url, admin)
    const good = startGoodClient({ url: gateway.url, key: keys.good }, after)
    await warmUp(gateway.url, keys)
    await good.report()
    return { ...gateway, dataDir, redisSocket: join(dataDir, 'redis', 'redis.sock'), keys, log, mail, good, worker, close }
  } catch (error) {
    await close()
    throw error
  }
}

export type World = Awaited<ReturnType<typeof openWorld>>

const startGoodClient = (settings: { url: string; key: string }, after: (undo: () => unknown) => void) => {
  const child = fork(goodClient, [JSON.stringify(settings)], { execArgv: ['--import', tsx], env: childEnvironment() })
  after(() => child.kill('SIGKILL'))
  const ask = async (wanted: 'report' | 'peek'): Promise<GoodReport> => {
    const answered = once(child, 'message')
    child.send(wanted)
    const [report] = await answered
    return report as GoodReport
  }
  return {
    /** What it saw since the last report. */
    report: () => ask('report'),
    /** The same, and the next report still has it. */
    peek: () => ask('peek'),
  }
}

/** Has every part of the gateway run once, so that what it grows by afterwards is the attack's. */
const warmUp = async (url: GatewayProcess['url'], keys: Keys) => {
  const client = createClient(url, '127.0.0.1')
  const data = { source: 'other', eventId: 'warm', eventType: 'warm', payload: {} }
  const round = async () => {
    await client.send({ method: 'POST', path: '/v1/jobs', key: keys.red.all, body: { type: 'process-webhook', data } })
    await client.send({ path: '/v1/jobs', key: keys.red.all })
    await client.send({ path: '/v1/jobs/absent', key: keys.blue.all })
  }
  for (let rounds = 0; rounds < warmUpRounds; rounds++) await round()
  const { json } = await client.send({ method: 'POST', path: '/v1/jobs', key: keys.red.all, body: { type: 'process-webhook', data } })
  for (const path of [`/v1/jobs/${json.id}?waitMs=5000`, `/v1/jobs/${json.id}/events`]) await client.send({ path, key: keys.red.all })
  for (const path of ['/openapi.yaml', '/docs', '/openapi.json', '/problems', '/metrics', '/docs/static/swagger-ui-bundle.js'])
    await client.send({ path })
  await client.close()
  await pause(warmUpMs)
}
