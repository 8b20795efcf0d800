// Row 19: ids, queues and options that are reserved, far too long, or none. Each is refused, and the queues still work.

import type { Attack, Row } from '../row.js'
import { plainJob, submitAndFinish } from '../submit.js'

const long = 'a'.repeat(600)
const ids = [
  '0',
  '1',
  '-1',
  '__proto__',
  'constructor',
  'toString',
  'null',
  'undefined',
  'batch',
  'events',
  'meta',
  'wait',
  'active',
  'drained',
  'repeat:abc:1',
  'ext_',
  'ext_a:b',
  'mail_:1',
  'ext_{jobgate}:external-api:wait',
  'bull:external-api:1',
  '*',
  '[a-z]*',
  'ext_*',
  '%00',
  '%0d%0a',
  '%1b%5b31m',
  '%e2%80%ae',
  '%f0%9f%92%a9',
  '%ed%a0%80',
  '%ff',
  '%',
  '%zz',
  '..',
  '.',
  '%2e%2e',
  '..%2f..%2fadmin',
  "';DROP TABLE jobs--",
  '$(id)',
  '{{7*7}}',
  long,
]

const queues = [
  '__proto__',
  'constructor',
  'email:wait',
  '{jobgate}:email',
  'Email',
  'email%00',
  'email%20',
  'default',
  '..',
  '*',
  '%ff',
  long,
]

/** For a job of good form. */
const options: readonly object[] = [
  { delayMs: -1 },
  { delayMs: 1e15 },
  { delayMs: 1.5 },
  { delayMs: '5' },
  { delayMs: null },
  { attempts: 0 },
  { attempts: 26 },
  { attempts: 1e9 },
  { timeoutMs: 0 },
  { timeoutMs: 1e12 },
  { expiresInMs: 0 },
  { priority: 'urgent' },
  { priority: 1 },
  { backoff: { type: 'custom', delayMs: 1 } },
  { backoff: { type: 'fixed', delayMs: -1 } },
  { backoff: 5 },
  { runAt: 'now' },
  { runAt: '9999-12-31T23:59:59.999Z' },
  { runAt: '2020-01-01T00:00:00Z', delayMs: 5 },
  { jobId: 'chosen' },
  { lifo: true },
  { repeat: { every: 1 } },
  { removeOnComplete: true },
  { parent: { id: '1', queue: 'email' } },
  { sizeLimit: 1 },
  { deduplication: { id: 'x' } },
  { stackTraceLimit: 1e9 },
]

/** What stands beside the data. */
const members: readonly object[] = [
  { id: 'chosen' },
  { queue: 'email' },
  { tenant: 'blue' },
  { userId: '' },
  { userId: 'a\nb' },
  { userId: 'a'.repeat(129) },
  { userId: '\ud800' },
  { correlationId: 'a b' },
  { correlationId: 'a\r\nb' },
  { correlationId: 'a'.repeat(129) },
  { metadata: { 'a b': 1 } },
  { metadata: { a: {} } },
  { metadata: { a: '\udfff' } },
  { metadata: Object.fromEntries(Array.from({ length: 33 }, (_, n) => [`m${n}`, n])) },
  { followUps: 'x' },
  { followUps: [{ type: 'none', data: {} }] },
  { type: '__proto__' },
  { type: 'toString' },
  { type: 'PROCESS-WEBHOOK' },
  { data: null },
]

const isRefused = (status: number) => status >= 400 && status < 500

const tryIds = async ({ client, world, tried, check }: Attack) => {
  const { admin } = world.keys
  for (const id of ids) {
    const wanted = [
      ['GET', `/v1/jobs/${id}`],
      ['DELETE', `/v1/jobs/${id}`],
      ['POST', `/v1/jobs/${id}/retry`],
      ['GET', `/v1/jobs/${id}/events`],
      ['GET', `/v1/schedules/${id}`],
      ['GET', `/v1/job-types/${id}`],
      ['GET', `/admin/queues/email/jobs/${id}`],
      ['DELETE', `/admin/api-keys/${id}`],
      ['GET', `/admin/operations/${id}`],
      ['GET', `/admin/email-templates/${id}`],
      ['GET', `/problems/${id}`],
    ] as const
    for (const [method, path] of wanted) {
      tried()
      const { status, headers } = await client.send({ method, path: path.replaceAll("'", '%27').replaceAll(' ', '%20'), key: admin })
      // `/v1/jobs/.` and the like are other routes once a client has read them.
      check(
        `${method} ${path.slice(0, 80)}: ${status}`,
        isRefused(status) && String(headers['content-type']).startsWith('application/problem+json'),
      )
    }
  }
}

const tryQueues = async ({ client, world, tried, check }: Attack) => {
  for (const queue of queues) {
    for (const [method, act] of [
      ['GET', 'health'],
      ['POST', 'pause'],
      ['POST', 'obliterate'],
      ['GET', 'dead-letters'],
    ] as const) {
      tried()
      const { status } = await client.send({ method, path: `/admin/queues/${queue}/${act}`, key: world.keys.admin })
      check(`${method} /admin/queues/${queue.slice(0, 40)}/${act}: ${status}`, isRefused(status))
    }
  }
}

const trySubmissions = async ({ client, world, tried, check }: Attack) => {
  const key = world.keys.red.submit
  const bodies = [...options.map((each) => plainJob('o', each)), ...members.map((each) => ({ ...plainJob('m'), ...each }))]
  for (const body of bodies) {
    tried()
    const { status } = await client.send({ method: 'POST', path: '/v1/jobs', key, body })
    check(`${JSON.stringify(body).slice(0, 200)}: ${status}`, status === 400)
  }
}

export const idsRow: Row = {
  id: 'ids',
  title: 'Reserved, malformed and very long ids, queues, options and members',
  matrix: 19,
  quick: true,
  async run(attack) {
    await tryIds(attack)
    await tryQueues(attack)
    await trySubmissions(attack)
    const { state } = await submitAndFinish(attack, attack.world.keys.red.all, plainJob('after'))
    attack.check(`a job behind them is ${state}`, state === 'completed')
    return 'a job behind them completed'
  },
}
