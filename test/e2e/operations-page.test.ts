// Carries out docs/operations.md: its ACL line is the user that gateway and worker run as, and every curl answers as the page says.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { Redis } from 'ioredis'
import t from 'tap'
import { ensureInstalled } from '../../scripts/ensure-installed.mjs'
import { eventually } from '../helpers/eventually.js'
import { startOwnRedis } from '../helpers/own-redis.js'
import { startCluster } from '../helpers/redis-clusters.js'
import { startSmtpReceiver } from '../helpers/smtp-receiver.js'
import { root } from '../helpers/source-files.js'
import { createDataDir } from '../helpers/start-probe-process.js'
import type { TestScope } from '../helpers/start-redis.js'

const page = readFileSync(join(root, 'docs/operations.md'), 'utf8')
const adminKey = 'admin-key-of-the-operations-page'
const password = 'password-of-the-page'
const readyDeadlineMs = 60_000
const anything = '…'

/** A request of the page with the answer that it shows. */
interface Recipe {
  readonly heading: string
  readonly script: string
  readonly status: number
  /** Parsed; undefined when no body is shown. Strings may hold `…`, which stands for anything. */
  readonly body: unknown
}

const readRecipes = (): Recipe[] => {
  const recipes: Recipe[] = []
  for (const section of page.split(/^### /m).slice(1)) {
    const heading = section.slice(0, section.indexOf('\n'))
    for (const [, script = '', answer] of section.matchAll(/^```sh\n(.*?)^```\n(?:\n```text\n(.*?)^```\n)?/gms)) {
      if (!/^curl /m.test(script)) continue
      const [, status = '', body = ''] = /^HTTP (\d{3})\n(.*)$/s.exec(answer ?? '') ?? []
      recipes.push({ heading, script, status: Number(status), body: body.trim() === '' ? undefined : JSON.parse(body) })
    }
  }
  return recipes
}

/** Where the real answer differs from the shown one, which may leave out members and end an array with `…`. */
const differences = (shown: unknown, real: unknown, path = ''): string[] => {
  if (typeof shown === 'string' && typeof real === 'string') {
    const pattern = shown.split(anything).map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'))
    return new RegExp(`^${pattern.join('.*')}$`, 's').test(real) ? [] : [`${path}: ${real}`]
  }
  if (shown === anything) return real === undefined ? [`${path}: missing`] : []
  if (typeof shown !== 'object' || shown === null) return Object.is(shown, real) ? [] : [`${path}: ${JSON.stringify(real)}`]
  if (typeof real !== 'object' || real === null) return [`${path}: ${JSON.stringify(real)}`]
  if (Array.isArray(shown)) {
    const isOpen = shown.at(-1) === anything
    const items = isOpen ? shown.slice(0, -1) : shown
    const got = real as unknown[]
    if (isOpen ? got.length < items.length : got.length !== items.length) return [`${path}: ${got.length} items`]
    return items.flatMap((item, index) => differences(item, got[index], `${path}/${index}`))
  }
  return Object.entries(shown).flatMap(([name, value]) =>
    differences(value, (real as Readonly<Record<string, unknown>>)[name], `${path}/${name}`),
  )
}

/** The built program, killed with the test. */
const start = (t: TestScope, command: 'serve' | 'worker', dataDir: string, env: Record<string, string>) => {
  const child = spawn(process.execPath, [join(root, 'dist/main.js'), command], {
    cwd: dataDir,
    env: { PATH: process.env.PATH, DATA_DIR: dataDir, HOST: '127.0.0.1', LOG_LEVEL: 'info', SHUTDOWN_DRAIN_MS: '0', ...env },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let output = ''
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    output += chunk
  })
  const exited = once(child, 'exit')
  t.after(async () => {
    child.kill('SIGKILL')
    await exited
  })
  return {
    pid: child.pid as number,
    address: async () => {
      const find = () => /"address":"(http:[^"]+)"/.exec(output)?.[1]
      await eventually(`${command} listens:\n${output}`, () => find() !== undefined, readyDeadlineMs)
      return find() as string
    },
  }
}

/** Makes the user of the page, with the password of this test; `addition` begins the row of what it needs besides. */
const createUser = async (client: Redis, addition?: string) => {
  const [, line = ''] = /^redis-cli ACL SETUSER (.*?)^```/ms.exec(page) ?? []
  const [, rights = ''] = (addition && page.split(`\n| ${addition} | `)[1]?.match(/^`(.*?)`/)) || []
  const words = `${line} ${rights.replaceAll('\\|', '|')}`.split(/[\s\\]+/).filter(Boolean)
  if (addition && rights === '') throw new Error(`the page adds nothing for ${addition}`)
  await client.call('ACL', 'SETUSER', ...words.map((word) => word.replace(/^'(.*)'$/, '$1').replace('PASSWORD', password)))
}
const refusals = async (client: Redis) => (await client.call('ACL', 'LOG')) as unknown[]

/** Runs a request of the page in a shell, as an operator would; `variables` are those that the page uses. */
const runScript = async (script: string, variables: Readonly<Record<string, string>>) => {
  const withStatus = `curl() { command curl --write-out '\\n%{http_code}' "$@"; }\n${script}`
  const child = spawn('bash', ['-euc', withStatus], { env: { PATH: process.env.PATH, ...variables }, stdio: ['ignore', 'pipe', 'pipe'] })
  const exited = once(child, 'exit')
  const [out, err] = await Promise.all([text(child.stdout), text(child.stderr), exited])
  const [, body = '', status] = /^(.*)\n(\d{3})$/s.exec(out) ?? []
  return { status: Number(status), body: body === '' ? undefined : (JSON.parse(body) as unknown), err }
}

const openScene = async (t: TestScope) => {
  await ensureInstalled({ build: true })
  const { dataDir } = await createDataDir(t)
  const redis = await startOwnRedis(t, dataDir)
  await createUser(redis.client)
  let mailServer: 'well' | 'silent' | 'down' = 'well'
  const mail = await startSmtpReceiver({
    // Not the greeting: a connection that is kept has had it.
    sender: () => ({ well: undefined, silent: 'silent' as const, down: 'drop' as const })[mailServer],
  })
  t.after(() => mail.close())
  const env = {
    REDIS_URL: redis.url,
    REDIS_USERNAME: 'jobgate',
    REDIS_PASSWORD: password,
    ADMIN_API_KEY: adminKey,
    SMTP_URL: mail.url,
    // Few, so that little is much.
    QUEUE_MAX_WAITING_JOBS: '2',
  }
  const gateway = await start(t, 'serve', dataDir, { ...env, PORT: '0' }).address()
  await eventually('the gateway is ready', async () => (await fetch(`${gateway}/readyz`)).ok, readyDeadlineMs)

  const call = async (method: string, path: string, body?: unknown, more: Variables = {}) => {
    const headers = { authorization: `Bearer ${adminKey}`, ...more, ...(body === undefined ? {} : { 'content-type': 'application/json' }) }
    const answer = await fetch(gateway + path, { method, headers, ...(body === undefined ? {} : { body: JSON.stringify(body) }) })
    const content = await answer.text()
    if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${content}`)
    return answer.headers.get('content-type')?.startsWith('application/json') ? JSON.parse(content) : content
  }
  const submit = async (type: string, data: unknown): Promise<string> =>
    (await call('POST', '/v1/jobs', { type, data, options: { attempts: 1 } })).id
  const until = (id: string, state: string) =>
    eventually(`${id} is ${state}`, async () => (await call('GET', `/v1/jobs/${id}`)).state === state, readyDeadlineMs)
  const ended = async (id: string, state: string) => {
    await until(id, state)
    return id
  }
  return {
    redis,
    gateway,
    call,
    until,
    /** Of the user of the page. */
    connections: async () => String(await redis.client.call('CLIENT', 'LIST')).match(/ user=jobgate /g)?.length ?? 0,
    /** It sends what waits, which resolves this. */
    startWorker: async () => {
      start(t, 'worker', dataDir, env)
      await eventually(
        'a worker has worked',
        async () => (await call('GET', '/v1/jobs?state=completed')).items.length === 3,
        readyDeadlineMs,
      )
    },
    setMailServer: (state: typeof mailServer) => {
      mailServer = state
    },
    sendMail: () => submit('send-verification-email', { to: 'user@example.com', verificationCode: '4711' }),
    /** A job that fails for good at its first attempt, and for ever: the worker has no account for it. */
    failForGood: async () => ended(await submit('send-sms', { phoneNumber: '+8613800138000', templateCode: 'SMS_1' }), 'failed'),
    ended,
  }
}
type Scene = Awaited<ReturnType<typeof openScene>>
type Variables = Record<string, string>

/** What the page says of how many a process keeps to Redis. */
const toldConnections = (role: string) => Number(new RegExp(`^\\| ${role} \\| (\\d+)`, 'm').exec(page)?.[1])

/** What is the case when somebody turns to a recipe, by its heading. In the order of the page. */
const situations: Readonly<Record<string, (scene: Scene) => Promise<Variables | undefined>>> = {
  'Is it healthy?': async ({ connections }) => {
    t.equal(await connections(), toldConnections('gateway'), 'connections of a gateway')
    return undefined
  },
  'A queue keeps growing': async ({ sendMail }) => {
    for (let n = 0; n < 3; n++) await sendMail()
    // It starts when the recipe has been read.
    return { AFTERWARDS: 'worker' }
  },
  'Pause one kind of work': async ({ connections }) => {
    t.equal(await connections(), toldConnections('gateway') + toldConnections('worker'), 'and of a worker')
    return undefined
  },
  'Dead letters': async ({ failForGood }) => ({ JOB: await failForGood() }),
  'A job that always fails': async ({ failForGood }) => ({ JOB: await failForGood() }),
  'A worker is stuck': async ({ ended, sendMail, setMailServer }) => {
    setMailServer('silent')
    return { JOB: await ended(await sendMail(), 'active') }
  },
  'A vendor is down': async ({ ended, sendMail, setMailServer }) => {
    setMailServer('down')
    for (let n = 0; n < 3; n++) await ended(await sendMail(), 'failed')
    return undefined
  },
  'Redrive after a fix': async ({ setMailServer, call }) => {
    setMailServer('well')
    const { items } = await call('GET', '/admin/queues/email/dead-letters')
    return { JOB: items[0].id }
  },
  'Stop an operation': async ({ call, failForGood }) => {
    for (let n = 0; n < 3; n++) await failForGood()
    const { id } = await call('POST', '/admin/queues/external-api/dead-letters/redrive', { filter: {}, ratePerSecond: 1 })
    return { OPERATION: id }
  },
  'Remove old jobs': async () => undefined,
  'Empty a queue in an emergency': async ({ call, sendMail }) => {
    const isIdle = async () => {
      const { items } = await call('GET', '/admin/operations')
      const isRunning = (each: { queue: string; state: string }) => each.queue === 'email' && each.state === 'running'
      if (items.some(isRunning)) return false
      const lists = await Promise.all(['waiting', 'delayed', 'active'].map((state) => call('GET', `/v1/jobs?queue=email&state=${state}`)))
      return lists.every((list) => list.items.length === 0)
    }
    await eventually('what was sent back has ended', isIdle, readyDeadlineMs)
    await call('POST', '/admin/queues/email/pause')
    await sendMail()
    return undefined
  },
  'An API key has leaked': async ({ call }) => {
    const { apiKey } = await call('POST', '/admin/api-keys', { name: 'Web shop', scopes: ['jobs:submit'] })
    return { KEY_ID: apiKey.id }
  },
  'Redis is full': async ({ redis }) => {
    await redis.client.config('SET', 'maxmemory', '1')
    return undefined
  },
  'Redis is down': async ({ gateway, redis }) => {
    await redis.client.config('SET', 'maxmemory', '0')
    redis.hang()
    await eventually('it is seen', async () => (await fetch(`${gateway}/readyz`)).status === 503, readyDeadlineMs)
    return undefined
  },
}

t.test('docs/operations.md, carried out', async (t) => {
  const recipes = readRecipes()
  t.ok(recipes.length > 25, `${recipes.length} requests`)
  t.same([...new Set(recipes.map(({ heading }) => heading))], Object.keys(situations), 'every recipe has its situation')
  const scene = await openScene(t)

  for (const [heading, prepare] of Object.entries(situations)) {
    t.test(heading, async (t) => {
      const prepared = (await prepare(scene)) ?? {}
      const variables: Variables = { GATE: scene.gateway, AUTH: `Authorization: Bearer ${adminKey}`, ...prepared }
      for (const { script, status, body } of recipes.filter((each) => each.heading === heading)) {
        const answer = await runScript(script, variables)
        t.equal(answer.status, status, `${script}${answer.err}${JSON.stringify(answer.body)}`)
        t.same(differences(body, answer.body), [], script)
        const id = (answer.body as { id?: unknown } | undefined)?.id
        // "The id in the response" is what the page calls by this name from here on.
        if (typeof id === 'string' && id.startsWith('op_')) variables['OPERATION'] = id
      }
      if (prepared['AFTERWARDS'] === 'worker') await scene.startWorker()
    })
  }

  t.test('the user of the page has what it takes, and no more', async (t) => {
    const { redis } = scene
    redis.wake()
    await eventually('Redis is back', async () => (await fetch(`${scene.gateway}/readyz`)).ok, readyDeadlineMs)
    const schedule = { type: 'process-webhook', data: { source: 'other', eventId: 'e', eventType: 'x', payload: {} }, everyMs: 1000 }
    await scene.call('PUT', '/v1/schedules/tick', schedule)
    await eventually(
      'a run of the schedule has completed',
      async () => (await scene.call('GET', '/v1/jobs?type=process-webhook&state=completed')).items.length > 0,
      readyDeadlineMs,
    )
    await scene.call('DELETE', '/v1/schedules/tick')
    const { items } = await scene.call('GET', '/v1/jobs?limit=200')
    for (const path of ['', '/events', '/logs', '/children']) await scene.call('GET', `/v1/jobs/${items[0].id}${path}`)
    await scene.call('GET', '/admin/queues/metrics')
    const waited = { type: schedule.type, data: schedule.data, options: { delayMs: 10 } }
    t.equal((await scene.call('POST', '/v1/jobs', waited, { prefer: 'wait=20' })).state, 'completed')
    await scene.call('POST', '/v1/jobs/batch', { items: [waited, waited] })
    t.match(await (await fetch(`${scene.gateway}/metrics`)).text(), /^jobgate_workers 1$/m)
    await scene.call('POST', '/admin/queues/meeting/obliterate')
    await scene.call('GET', '/admin/board/api/queues?activeQueue=external-api&status=completed&page=1&jobsPerPage=10')
    t.same(await refusals(redis.client), [], 'nothing was refused to it')

    const as = redis.client.duplicate()
    t.after(() => as.disconnect())
    await as.auth('jobgate', password)
    for (const command of [
      ['GET', 'other'],
      ['SET', 'other', '1'],
      ['KEYS', '*'],
      ['SCAN', '0'],
      ['FLUSHALL'],
      ['CONFIG', 'SET', 'maxmemory', '1'],
      ['ACL', 'LIST'],
      ['SHUTDOWN'],
      ['SUBSCRIBE', 'other'],
      ['EVAL', "return redis.call('GET', 'other')", '0'],
    ]) {
      await t.rejects(as.call(...(command as [string, ...string[]])), /NOPERM|can't access/, command.join(' '))
    }
  })
})

/** One job through a gateway with workers that runs as the user of the page. */
const runOneJob = async (t: TestScope, env: Record<string, string>) => {
  const { dataDir } = await createDataDir(t)
  const user = { REDIS_USERNAME: 'jobgate', REDIS_PASSWORD: password, ADMIN_API_KEY: adminKey }
  const gateway = await start(t, 'serve', dataDir, { ...user, WORKERS_ENABLED: 'true', PORT: '0', ...env }).address()
  await eventually('the gateway is ready', async () => (await fetch(`${gateway}/readyz`)).ok, readyDeadlineMs)
  const headers = { authorization: `Bearer ${adminKey}`, 'content-type': 'application/json', prefer: 'wait=20' }
  const body = JSON.stringify({ type: 'process-webhook', data: { source: 'other', eventId: 'e', eventType: 'x', payload: {} } })
  return (await (await fetch(`${gateway}/v1/jobs`, { method: 'POST', headers, body })).json()) as { state: string }
}

t.test('the user of the page, with what it adds for a Cluster', async (t) => {
  const { hosts } = await startCluster(t, { replicas: false })
  const nodes = hosts.map(({ host, port }) => new Redis({ host, port }))
  t.after(() => {
    for (const node of nodes) node.disconnect()
  })
  for (const node of nodes) await createUser(node, 'Redis Cluster')
  const list = hosts.map(({ host, port }) => `${host}:${port}`).join(',')
  t.match(await runOneJob(t, { REDIS_CLUSTER_NODES: list }), { state: 'completed' })
  for (const node of nodes) t.same(await refusals(node), [])
})

t.test('the user of the page, with what it adds for DURABILITY=fsync', async (t) => {
  const { dataDir } = await createDataDir(t)
  const { client, url } = await startOwnRedis(t, dataDir)
  await client.config('SET', 'appendfsync', 'always')
  const hasWaitAof = ((await client.call('COMMAND', 'INFO', 'WAITAOF')) as unknown[])[0] !== null
  await createUser(client, hasWaitAof ? '`DURABILITY=fsync`, Redis 7.2 and Valkey' : '`DURABILITY=fsync`, older Redis')
  t.match(await runOneJob(t, { REDIS_URL: url, DURABILITY: 'fsync' }), { state: 'completed' })
  t.same(await refusals(client), [])
})

t.test('the comparison sees what differs', async (t) => {
  t.same(differences({ a: '…', b: [1, '…'] }, { a: 2, b: [1, 2], c: 3 }), [])
  t.same(differences('op_…', 'op_1'), [])
  t.same(differences({ a: '…' }, {}), ['/a: missing'])
  t.same(differences({ a: { b: true } }, { a: { b: false } }), ['/a/b: false'])
  t.same(differences([1], [1, 2]), [': 2 items'])
  t.same(differences('a.c', 'abc'), [': abc'])
})
