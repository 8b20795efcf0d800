// Row 23: objects of another tenant, and those that the grants of a key hide: both look as if they were not there.

import type { Answer } from '../client.js'
import { absentJobId } from '../job-ids.js'
import { type DocumentedOperation, readOperations } from '../operations.js'
import type { Attack, Row } from '../row.js'
import { toShape } from '../same-answer.js'
import { hiddenJob, plainJob } from '../submit.js'

const delayMs = 3_600_000
/** What tells whose data is shown. */
type Marker = 'belongs-to-red' | 'belongs-to-blue'
/** Of the type that a limited key may see, followed by one that it may not. */
const followed = (marker: Marker) => {
  const { options: _, ...followUp } = hiddenJob(marker)
  return { ...plainJob('followed', { delayMs }), followUps: [followUp] }
}

interface Others {
  readonly job: string
  readonly schedule: string
  readonly marker: Marker
}

const create = async ({ client }: Attack, key: string, name: string, marker: Marker, body: object): Promise<Others> => {
  const submitted = await client.send({ method: 'POST', path: '/v1/jobs', key, body })
  const { options: _, ...recurring } = body as { options: unknown }
  const put = await client.send({ method: 'PUT', path: `/v1/schedules/${name}`, key, body: { ...recurring, cron: '0 0 1 1 *' } })
  if (submitted.status !== 202 || put.status !== 201) throw new Error(`${name}: ${submitted.text} ${put.text}`)
  return { job: submitted.json.id, schedule: name, marker }
}

/** One who must not see an object, and the object. */
interface Pair {
  readonly what: string
  readonly key: string
  readonly others: Others
}

/** Waits, conditions and forms of the same read. */
const variants = (operation: DocumentedOperation, objects: Omit<Others, 'marker'>) => {
  const wanted = operation.wanted(objects)
  if (operation.id !== 'getJob') return [wanted]
  return [
    wanted,
    { ...wanted, path: `${wanted.path}?waitMs=10` },
    { ...wanted, headers: { prefer: 'wait=1' } },
    { ...wanted, headers: { 'if-none-match': '*' } },
    { ...wanted, method: 'HEAD' as const },
  ]
}

const walk = async (attack: Attack, { what, key, others }: Pair, absent: Omit<Others, 'marker'>) => {
  const { client, check, tried } = attack
  for (const operation of readOperations()) {
    if (!operation.about) continue
    const hidden = variants(operation, others)
    const missing = variants(operation, absent)
    for (const [n, wanted] of hidden.entries()) {
      tried()
      const [found, none]: [Answer, Answer] = [
        await client.send({ ...wanted, key }),
        await client.send({ ...(missing[n] as typeof wanted), key }),
      ]
      check(`${operation.id} on ${what}: ${found.status}`, found.status === 404)
      check(`${operation.id} on ${what} differs from what is absent`, toShape(found) === toShape(none))
    }
  }
}

/** Lists, filters, cursors and keys of idempotency. */
const lists = async ({ client, check, tried }: Attack, { what, key, others }: Pair) => {
  for (const path of [
    '/v1/jobs?limit=200',
    '/v1/jobs?limit=1',
    '/v1/jobs?type=send-verification-email',
    '/v1/jobs?userId=shared',
    '/v1/schedules?limit=200',
    '/v1/schedules?limit=1',
  ]) {
    let next: string | null = path
    for (let pages = 0; next !== null && pages < 20; pages++) {
      tried()
      const answer: Answer = await client.send({ path: next, key })
      const link = JSON.stringify(answer.headers['link'] ?? '')
      for (const secret of [others.job, others.schedule, others.marker]) {
        check(
          `${path} names ${secret === others.marker ? 'data' : 'an id'} of ${what}`,
          !answer.text.includes(secret) && !link.includes(secret),
        )
      }
      next = answer.json?.next ? `${path.split('&cursor')[0]}&cursor=${encodeURIComponent(answer.json.next)}` : null
    }
  }
}

/** The keys of idempotency of one tenant mean nothing to another. */
const sharedKeys = async ({ client, world, check, tried }: Attack) => {
  const headers = { 'idempotency-key': '"shared"' }
  const send = (key: string) => client.send({ method: 'POST', path: '/v1/jobs', key, headers, body: hiddenJob('belongs-to-red') })
  const [red, blue] = [await send(world.keys.red.all), await send(world.keys.blue.all)]
  tried(2)
  check(
    'a key of another tenant was replayed',
    blue.status === 202 && blue.headers['idempotent-replayed'] === undefined && blue.json.id !== red.json.id,
  )
}

/** What a limited key must not see or set going, although it may see the job that comes first. */
const followUps = async ({ client, check, tried }: Attack, key: string, { job, schedule, marker }: Others) => {
  const reads = [
    `/v1/jobs/${job}`,
    `/v1/schedules/${schedule}`,
    '/v1/jobs?limit=200',
    '/v1/schedules?limit=200',
    `/v1/jobs/${job}/children`,
  ]
  for (const path of reads) {
    tried()
    const { text } = await client.send({ path, key })
    check(`${path.replace(job, '{id}')} shows the data of a hidden follow-up`, !text.includes(marker))
  }
  for (const [method, path] of [
    ['POST', `/v1/jobs/${job}/promote`],
    ['POST', `/v1/schedules/${schedule}/trigger`],
    ['DELETE', `/v1/schedules/${schedule}`],
    ['DELETE', `/v1/jobs/${job}`],
  ] as const) {
    tried()
    const { status } = await client.send({ method, path, key })
    check(`${method} ${path.replace(job, '{id}')} with a hidden follow-up: ${status}`, status === 404 || status === 403)
  }
}

/** Puts over what it cannot see, and submits what it may not. */
const overwrites = async ({ client, world, check, tried }: Attack, key: string, schedules: readonly string[]) => {
  for (const schedule of schedules) {
    tried()
    const body = { ...plainJob('over'), options: undefined, cron: '0 0 1 1 *' }
    const { status } = await client.send({ method: 'PUT', path: `/v1/schedules/${schedule}`, key, body })
    check(`a limited key putting ${schedule} got ${status}`, status === 404 || status === 403)
    const left = await client.send({ path: `/v1/schedules/${schedule}`, key: world.keys.red.all })
    check(`a limited key replaced the schedule ${schedule}`, left.text.includes('send-verification-email'))
  }
  for (const body of [hiddenJob('belongs-to-red'), followed('belongs-to-red')]) {
    tried()
    const { status } = await client.send({ method: 'POST', path: '/v1/jobs', key, body })
    check(`a limited key submitting ${body.type} got ${status}`, status === 403)
  }
}

export const tenantsRow: Row = {
  id: 'tenants',
  title: "Other tenants' and hidden jobs, schedules, lists, cursors, follow-ups and idempotency keys",
  matrix: 23,
  quick: true,
  async run(attack) {
    const { red, blue, redTypes, redQueues } = attack.world.keys
    const own = await create(attack, red.all, 'hidden-plain', 'belongs-to-red', hiddenJob('belongs-to-red'))
    const follows = await create(attack, red.all, 'hidden-follows', 'belongs-to-red', followed('belongs-to-red'))
    const foreign = await create(attack, blue.all, 'foreign-plain', 'belongs-to-blue', hiddenJob('belongs-to-blue'))
    const absent = { job: absentJobId('mail'), schedule: 'absent-plain' }
    const pairs: readonly Pair[] = [
      { what: 'the object of another tenant', key: red.all, others: foreign },
      { what: 'the object of another tenant, as its operator', key: red.admin, others: foreign },
      { what: 'an object of a hidden type', key: redTypes, others: own },
      { what: 'an object of a hidden queue', key: redQueues, others: own },
    ]
    for (const pair of pairs) await walk(attack, pair, absent)
    for (const pair of pairs) await lists(attack, pair)
    for (const key of [redTypes, redQueues]) await followUps(attack, key, follows)
    await sharedKeys(attack)
    await overwrites(attack, redTypes, ['hidden-plain', 'hidden-follows'])
    return 'each as if it were not there'
  },
}
