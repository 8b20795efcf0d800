// The built gateway of the demo: started with nothing but its own settings, spoken to over HTTP, every line and answer kept.

import { spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { setTimeout as pause } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'

const stopDeadlineMs = 20_000
const fromRoot = (path) => fileURLToPath(new URL(`../../${path}`, import.meta.url))

const takeFreePort = async () => {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address()
  server.close()
  await once(server, 'close')
  return port
}

/** What a process needs to run at all. Settings of Jobgate that lie about here are not meant for the demo. */
const bareEnvironment = () =>
  Object.fromEntries(
    ['PATH', 'HOME', 'TMPDIR', 'LANG', 'NODE_OPTIONS', 'REDIS_SERVER_BINARY'].flatMap((name) =>
      process.env[name] ? [[name, process.env[name]]] : [],
    ),
  )

/** Resolves once it is ready. `env` must contain ADMIN_API_KEY. */
export const startGateway = async ({ dataDir, env, signal }) => {
  const port = await takeFreePort()
  const child = spawn(
    process.execPath,
    ['--import', new URL('../exit-with-parent.mjs', import.meta.url).href, fromRoot('dist/main.js'), 'serve'],
    {
      // Away from the checkout, whose .env is not meant for the demo either.
      cwd: dataDir,
      env: {
        ...bareEnvironment(),
        HOST: '127.0.0.1',
        PORT: String(port),
        DATA_DIR: dataDir,
        LOG_LEVEL: 'trace',
        WORKERS_ENABLED: 'true',
        SHUTDOWN_DRAIN_MS: '0',
        ...env,
      },
      // A process group of its own: Ctrl-C reaches the demo alone, which then stops the gateway once and in order.
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    },
  )
  const exited = once(child, 'exit')
  const output = []
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (text) => output.push(text))
  const url = `http://127.0.0.1:${port}`
  const answers = []

  const stop = async () => {
    if (child.exitCode === null && child.signalCode === null) child.kill('SIGTERM')
    const timer = setTimeout(() => child.kill('SIGKILL'), stopDeadlineMs)
    await exited
    clearTimeout(timer)
  }

  /** One request; its answer, head included, is kept for the search. */
  const request = async (path, { method = 'GET', headers = {}, body } = {}) => {
    const answer = await fetch(url + path, { method, headers, body, signal })
    const text = await answer.text()
    answers.push(`${JSON.stringify([...answer.headers])}\n${text}`)
    return { status: answer.status, text, json: () => JSON.parse(text) }
  }
  const authorization = { authorization: `Bearer ${env.ADMIN_API_KEY}` }

  const read = async (path, headers = {}) => {
    const answer = await request(path, { headers: { ...authorization, ...headers } })
    if (answer.status !== 200) throw new Error(`GET ${path} returned ${answer.status}: ${answer.text}`)
    return answer
  }

  try {
    while (!(await fetch(`${url}/readyz`, { signal }).catch(() => null))?.ok) {
      signal.throwIfAborted()
      if (child.exitCode !== null || child.signalCode !== null) throw new Error(`the gateway stopped:\n${output.join('')}`)
      await pause(50, undefined, { signal })
    }
  } catch (error) {
    await stop()
    throw error
  }

  return {
    request,
    /** Submits and gives the id. */
    async submit({ type, data }) {
      const headers = { ...authorization, 'content-type': 'application/json', 'idempotency-key': `"${randomUUID()}"` }
      const answer = await request('/v1/jobs', { method: 'POST', headers, body: JSON.stringify({ type, data }) })
      if (answer.status !== 202) throw new Error(`${type} returned ${answer.status}: ${answer.text}`)
      return answer.json().id
    },
    /** The job once it has finished; waits as long as the demo may. */
    async finished(id) {
      for (;;) {
        const view = (await read(`/v1/jobs/${id}`, { prefer: 'wait=30' })).json()
        if (['completed', 'failed', 'cancelled'].includes(view.state)) return view
      }
    },
    /** Ids of the jobs of one type. */
    jobsOf: async (type) => (await read(`/v1/jobs?type=${type}`)).json().items.map(({ id }) => id),
    /** All that can be read about a job, and of its queue; only for the search. */
    async readEverything(id) {
      const { queue } = (await read(`/v1/jobs/${id}`)).json()
      const events = { accept: 'text/event-stream' }
      await read(`/v1/jobs/${id}/events`, events)
      for (const path of [
        `/v1/jobs/${id}/logs`,
        `/v1/jobs/${id}/children`,
        '/v1/jobs',
        `/admin/queues/${queue}/jobs/${id}`,
        `/admin/queues/${queue}/metrics`,
      ]) {
        await read(path)
      }
    },
    answers,
    /** Lines so far; all of them once it has stopped. */
    get logs() {
      return output.join('').split('\n')
    },
    stop,
  }
}
