// Job types from modules in the built program: a gateway that accepts their jobs, a worker that runs them, and starts that end.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import t from 'tap'
import { ensureInstalled } from '../../scripts/ensure-installed.mjs'
import { childEnvironment } from '../helpers/child-environment.js'
import { eventually } from '../helpers/eventually.js'
import { createJobTypeFolder, moduleSource } from '../helpers/job-type-folder.js'
import { startOwnRedis } from '../helpers/own-redis.js'
import { root } from '../helpers/source-files.js'
import { startGateway } from '../helpers/start-gateway.js'
import { createDataDir } from '../helpers/start-probe-process.js'

const data =
  "Type.Object({ act: Type.String({ maxLength: 20 }), code: Type.Optional(Type.String({ maxLength: 9, 'x-sensitive': true })) }, closed)"

/** Node strips types by itself from 22.18 on. */
const file = (process.features as { typescript?: unknown }).typescript ? 'acts.ts' : 'acts.mjs'
const typed = (code: string, type: string) => (file === 'acts.ts' ? `${code}: ${type}` : code)

/** What it does, its data say. */
const acts = `const closed = { additionalProperties: false }
const run = async (${typed('{ act, code }', '{ act: string, code?: string }')}, ctx) => {
  ctx.log('attempt ' + ctx.attempt)
  if (act === 'fail') throw fail('acts.failed', 'As it was told.')
  if (act === 'retry' && ctx.attempt === 1) throw retry('acts.busy', 'Once more.')
  if (act === 'throw') throw new Error('with a secret')
  if (act === 'misfit') return { words: 'none' }
  if (act === 'block') await new Promise((resolve, reject) => {
    ctx.progress(50)
    ctx.signal.addEventListener('abort', () => reject(ctx.signal.reason))
  })
  return { words: code?.length ?? ctx.attempt }
}
`
const source = moduleSource('acts', {
  data,
  example: "{ act: 'none' }",
  defaults: "{ backoff: { type: 'fixed', delayMs: 1 }, attempts: 2 }",
  run: 'run',
}).replace('\n\n', `\n\n${acts}`)

/** CommonJS: nothing in its folder says otherwise. */
const required = moduleSource('required')
  .replace(/import (.*) from (.*)/, 'const $1 = require($2)')
  .replace('export default', 'module.exports =')

const start = (command: 'serve' | 'worker', env: Record<string, string>) =>
  spawn(process.execPath, [join(root, 'dist/main.js'), command], {
    env: { ...childEnvironment(), HOST: '127.0.0.1', PORT: '0', LOG_LEVEL: 'warn', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })

t.test(`a gateway accepts jobs of ${file}, a worker runs them`, async (t) => {
  const { dataDir } = await createDataDir(t)
  const redis = await startOwnRedis(t, dataDir)
  const { dir } = await createJobTypeFolder(t, { [file]: source, 'required.js': required })
  const env = { JOB_TYPES_DIR: dir, REDIS_URL: redis.url, DATA_DIR: dataDir }
  const gateway = await startGateway({ JOB_TYPES_DIR: dir, REDIS_URL: redis.url })
  t.after(() => gateway.close())
  const worker = start('worker', env)
  const exited = once(worker, 'exit')
  const log = Promise.all([text(worker.stdout), text(worker.stderr)])
  t.after(() => worker.kill('SIGKILL'))

  const call = async (method: string, path: string, body?: object, prefer = 'wait=30') => {
    const headers = { authorization: `Bearer ${gateway.key}`, prefer, ...(body ? { 'content-type': 'application/json' } : {}) }
    const answer = await fetch(gateway.url + path, { method, headers, ...(body ? { body: JSON.stringify(body) } : {}) })
    return { status: answer.status, body: JSON.parse(await answer.text()) }
  }
  const perform = async (act: string, more: object = {}) => (await call('POST', '/v1/jobs', { type: 'acts', data: { act, ...more } })).body
  await eventually('the worker runs it', async () => (await call('GET', '/v1/job-types/acts')).body.available)

  t.match(await perform('none'), { type: 'acts', queue: 'acts', state: 'completed', result: { words: 1 }, attempts: { made: 1, max: 2 } })
  t.match(await perform('none', { code: '123456' }), { data: { code: '***' }, result: { words: 6 } }, 'in clear for run alone')
  t.match((await call('POST', '/v1/jobs', { type: 'required', data: { text: 'a b' } })).body, { state: 'completed', result: { words: 2 } })
  t.match(await perform('fail'), { state: 'failed', attempts: { made: 1 }, error: { code: 'acts.failed', message: 'As it was told.' } })
  t.match(await perform('throw'), { state: 'failed', attempts: { made: 2 }, error: { code: 'handler_error', retryable: true } })
  const retried = await perform('retry')
  t.match(retried, { state: 'completed', attempts: { made: 2 }, result: { words: 2 } })
  t.same((await call('GET', `/v1/jobs/${retried.id}/logs`)).body.items, ['attempt 1', 'attempt 2'])
  t.match(await perform('misfit'), {
    state: 'failed',
    attempts: { made: 1 },
    result: null,
    error: { code: 'invalid_result', message: /#\/words must be integer\.$/, retryable: false },
  })
  t.match(await call('POST', '/v1/jobs', { type: 'acts', data: { act: 1 } }), {
    status: 400,
    body: { errors: [{ pointer: '#/data/act' }] },
  })

  const { id } = (await call('POST', '/v1/jobs', { type: 'acts', data: { act: 'block' } }, 'return=representation')).body
  await eventually('it runs', async () => (await call('GET', `/v1/jobs/${id}`, undefined, 'wait=0')).body.progress === 50)
  t.equal((await call('DELETE', `/v1/jobs/${id}`)).status, 202)
  t.match(await call('GET', `/v1/jobs/${id}`), { body: { state: 'cancelled', attempts: { made: 1 } } }, 'its signal fires')

  await t.test('the document of the gateway is still one', async (t) => {
    const answer = await call('GET', '/openapi.json')
    t.equal(answer.status, 200)
    t.ok(answer.body.components.schemas.ActsData)
  })

  worker.kill('SIGTERM')
  t.equal((await exited)[0], 0, 'it stops like any other')
  t.match((await log).join('\n'), /with a secret/, 'its log has the cause')
})

t.test('a broken module ends the start', async (t) => {
  await ensureInstalled({ build: true })
  const { dataDir } = await createDataDir(t)
  const { dir } = await createJobTypeFolder(t, { 'clash.mjs': moduleSource('send-sms') })
  for (const command of ['serve', 'worker'] as const) {
    const child = start(command, { JOB_TYPES_DIR: dir, DATA_DIR: dataDir })
    const [out, err, [status]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'exit')])
    t.same(
      { out, err, status },
      { out: '', err: 'jobgate: JOB_TYPES_DIR: clash.mjs: send-sms is the name of a built-in job type\n', status: 1 },
      command,
    )
  }
})
