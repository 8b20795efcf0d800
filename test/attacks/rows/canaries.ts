// Row 28: a secret of every kind goes through the system; then it is looked for in logs, answers, metrics, traces and Redis.

import { until } from '../../helpers/until.js'
import { login } from '../board.js'
import { canariesIn, formsOf } from '../canary-forms.js'
import { type CanaryWorld, openCanaryWorld } from '../canary-world.js'
import { type Client, createClient } from '../client.js'
import { issueKey } from '../keys.js'
import { dumpRedis } from '../redis-dump.js'
import type { Attack, Row } from '../row.js'
import { canaryJobs, canaryMistakes } from './canary-jobs.js'

const settleMs = 60_000
const finished = new Set(['completed', 'failed', 'cancelled'])

/** Remembers every answer it gets. */
const recording = (client: Client, answers: string[]): Client => ({
  ...client,
  async send(wanted) {
    const answer = await client.send(wanted)
    answers.push(`${wanted.method ?? 'GET'} ${wanted.path.split('?')[0]}\n${JSON.stringify(answer.headers)}\n${answer.text}`)
    return answer
  },
})

/** Submits everything, by itself, in batches, on schedule, and behind other jobs. Out: the ids of the jobs. */
const sendThrough = async (client: Client, key: string, { jobs }: CanaryWorld): Promise<string[]> => {
  const bodies = canaryJobs(jobs)
  const ids: string[] = []
  for (const [n, body] of bodies.entries()) {
    const answer = await client.send({ method: 'POST', path: '/v1/jobs', key, body })
    if (answer.status !== 202) throw new Error(`${body.type}: ${answer.status} ${answer.text}`)
    ids.push(answer.json.id)
    const { options: _, ...plain } = body
    await client.send({ method: 'PUT', path: `/v1/schedules/canary-${n}`, key, body: { ...plain, cron: '0 0 1 1 *' } })
  }
  const batch = await client.send({ method: 'POST', path: '/v1/jobs/batch', key, body: { items: bodies } })
  ids.push(...(batch.json.items as { id: string }[]).map(({ id }) => id))
  const first = { type: 'process-webhook', data: { source: 'other', eventId: 'c', eventType: 'c', payload: {} } }
  const followUps = bodies.map(({ options: _, ...each }) => each)
  ids.push((await client.send({ method: 'POST', path: '/v1/jobs', key, body: { ...first, followUps } })).json.id)
  return ids
}

const readBack = async (client: Client, { world, metricsToken }: CanaryWorld, ids: readonly string[]) => {
  const { admin, red } = world.keys
  const queueOf = (id: string) => (id.startsWith('mail_') ? 'email' : id.startsWith('meet_') ? 'meeting' : 'external-api')
  for (const id of ids) {
    await until(
      `${id} finishes`,
      async () => finished.has((await client.send({ path: `/v1/jobs/${id}`, key: red.all })).json?.state),
      settleMs,
    )
    for (const part of ['', '/logs', '/children', '/events']) await client.send({ path: `/v1/jobs/${id}${part}`, key: red.all })
    await client.send({ path: `/admin/queues/${queueOf(id)}/jobs/${id}`, key: admin })
    await client.send({ path: `/admin/board/api/queues/${queueOf(id)}/${id}`, key: admin })
    await client.send({ path: `/admin/board/api/queues/${queueOf(id)}/${id}/logs`, key: admin })
  }
  const lists = ['/v1/jobs?limit=200', '/v1/schedules?limit=200']
  for (const path of lists) await client.send({ path, key: red.all })
  const ofOperators = [
    '/admin/audit?limit=200',
    '/admin/api-keys',
    '/admin/queues/health',
    '/admin/queues/metrics',
    '/admin/operations',
    '/admin/email-templates',
  ]
  for (const path of ofOperators) await client.send({ path, key: admin })
  for (const queue of ['email', 'external-api', 'meeting']) {
    await client.send({ path: `/admin/queues/${queue}/dead-letters`, key: admin })
    await client.send({ path: `/admin/board/api/queues?activeQueue=${queue}&status=latest`, key: admin })
  }
  await client.send({ path: '/metrics', headers: { authorization: `Bearer ${metricsToken}` } })
  for (const path of ['/', '/docs', '/openapi.json', '/problems', '/readyz', '/metrics']) await client.send({ path })
}

const search = (check: Attack['check'], where: string, text: string, canaries: Readonly<Record<string, string>>) => {
  for (const name of canariesIn(text, canaries)) check(`${name} is in ${where}`, false)
}

export const canaries: Row = {
  id: 'canaries',
  title: 'A canary of every kind of secret, searched in logs, answers, metrics, traces and Redis',
  matrix: 28,
  quick: true,
  async run(attack) {
    const { check, tried, after } = attack
    const own = await openCanaryWorld(attack)
    const { world, settings, jobs, collector } = own
    const issued = await issueKey(world.url, world.keys.admin, { name: 'canary', tenant: 'red', scopes: ['jobs:submit', 'jobs:read'] })
    const secrets = {
      ...settings,
      ...jobs,
      'an API key': issued.key.split('_').at(-1) as string,
      'the first key': world.keys.admin.split('_').at(-1) as string,
    }
    for (const [name, secret] of Object.entries(secrets)) for (const form of formsOf(secret)) world.log.plant(name, form)
    tried(Object.keys(secrets).length)
    const answers: string[] = []
    const client = createClient(world.url)
    after(client.close)
    const recorded = recording(client, answers)
    const ids = await sendThrough(recorded, world.keys.red.all, own)
    for (const wanted of canaryMistakes(secrets, issued.key)) await recorded.send(wanted)
    await login(recorded, `${issued.key}x`)
    await readBack(recorded, own, ids)
    for (const answer of answers) search(check, `the answer to ${answer.slice(0, answer.indexOf('\n'))}`, answer, secrets)
    await until('spans have come', () => collector.requests.length > 0)
    search(check, 'the traces', collector.requests.map(({ uri, body }) => `${uri} ${body}`).join('\n'), secrets)
    search(check, 'Redis', (await dumpRedis(world.redisSocket)).join('\n'), secrets)
    for (const fault of world.log.takeFaults()) check(fault, false)
    return `0 hits of ${Object.keys(secrets).length} canaries in ${answers.length} answers, ${world.log.lines()} log lines, ${collector.requests.length} exports of spans`
  },
}
