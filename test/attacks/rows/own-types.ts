// Registering job types: keys that may not, keys with grants for other types, and secrets in definitions, whatever becomes of these.

import { until } from '../../helpers/until.js'
import { absentJobId } from '../job-ids.js'
import { issueKey } from '../keys.js'
import type { Attack, Row } from '../row.js'
import { toShape } from '../same-answer.js'

const canary = 'cnryOfADefinition4711'
const name = 'attacked-type'
const pathOf = (type: string) => `/v1/job-types/${type}`
const define = (more: object = {}, properties: object = { text: { type: 'string', maxLength: 100 } }) => ({
  description: `Says ${canary}.`,
  data: { type: 'object', properties, additionalProperties: false },
  example: {},
  runs: { by: 'pull' },
  ...more,
})
const job = (type = name) => ({ type, data: { text: canary }, options: { delayMs: 3_600_000 } })

/** A secret in every place of a definition: of one that is fine, of one that is refused, of one that fits no earlier version. */
const secretsInDefinitions = async ({ client, world, tried, check }: Attack) => {
  const { admin, red } = world.keys
  world.log.plant('a secret in a definition', canary)
  const of = (constant: string) => ({
    [canary]: { type: 'string', maxLength: 100, default: canary, examples: [canary], title: canary, pattern: canary },
    kind: { const: constant },
    text: { type: 'string', maxLength: 100, 'x-sensitive': true },
  })
  const wanted: [number, object][] = [
    [201, define({ example: { [canary]: canary, text: canary } }, of(canary))],
    [409, define({}, { kind: { const: `${canary}2` } })],
    [400, define({ [canary]: canary })],
    [400, define({ example: { text: 1, [`${canary}3`]: canary } }, of(canary))],
    [400, define({ runs: { by: canary } })],
    [400, define({ data: { type: canary, [canary]: canary, $ref: `#/$defs/${canary}` } })],
  ]
  for (const [status, body] of wanted) {
    tried()
    const answer = await client.send({ method: 'PUT', path: pathOf(name), key: red.types, body })
    check(`PUT was answered with ${answer.status}, not ${status}: ${answer.text.slice(0, 200)}`, answer.status === status)
  }
  for (const body of [job(), { ...job(), data: { text: 1, [canary]: canary } }]) {
    tried()
    await client.send({ method: 'POST', path: '/v1/jobs', key: red.all, body })
  }
  const { text } = await client.send({ path: '/metrics', key: admin })
  check('a metric holds the secret', !text.includes(canary))
  const { json } = await client.send({ path: `/v1/jobs?type=${name}`, key: red.all })
  check('a sensitive member is not masked', json.items.length > 0 && !JSON.stringify(json).includes(canary))
}

/** What such a key may not see is not there for it, and may not be changed by it. */
const otherGrants = async ({ client, world, tried, check }: Attack) => {
  const { admin, red } = world.keys
  const scopes = ['types:manage', 'jobs:submit', 'jobs:read', 'jobs:manage']
  const limits = [{ types: ['process-webhook'] }, { queues: ['external-api'] }]
  const { json: held } = await client.send({ method: 'POST', path: '/v1/jobs', key: red.all, body: job() })
  for (const limit of limits) {
    const { key } = await issueKey(world.url, admin, { name: 'limited', tenant: 'red', scopes, ...limit })
    const send = (method: 'GET' | 'PUT' | 'DELETE' | 'POST', path: string, body?: object) => {
      tried()
      return client.send({ method, path, key, body })
    }
    for (const type of [name, 'absent-type']) {
      const { status } = await send('PUT', pathOf(type), define())
      check(`${JSON.stringify(limit)} may register ${type}: ${status}`, status === 403)
    }
    for (const [method, path] of [
      ['GET', ''],
      ['DELETE', ''],
      ['GET', '/versions'],
      ['GET', '/versions/1'],
    ] as const) {
      const [there, absent] = [await send(method, pathOf(name) + path), await send(method, pathOf('absent-type') + path)]
      check(`${method} ${path} of a hidden type: ${there.status}`, there.status === 404 && toShape(there) === toShape(absent))
    }
    const [there, absent] = [await send('GET', `/v1/jobs/${held.id}`), await send('GET', `/v1/jobs/${absentJobId(name)}`)]
    check(`a job of a hidden type: ${there.status}`, there.status === 404 && toShape(there) === toShape(absent))
    const { json, text } = await send('GET', '/v1/job-types')
    check('a list tells of a hidden type', json.items.length > 0 && !text.includes(name))
    check('the hidden type has changed', (await client.send({ path: pathOf(name), key: admin })).json.version === 1)
  }
}

export const ownTypes: Row = {
  id: 'own-types',
  title: 'Registering job types: scopes, grants, secrets in definitions',
  quick: true,
  gateway: { env: { LOG_LEVEL: 'trace' } },
  async run(attack) {
    const { client, world } = attack
    await secretsInDefinitions(attack)
    await otherGrants(attack)
    for (const key of ['submit', 'read', 'manage', 'work', 'all'] as const) {
      attack.tried()
      const { status } = await client.send({ method: 'PUT', path: pathOf('another-type'), key: world.keys.red[key], body: define() })
      attack.check(`a key with ${key} may register a type: ${status}`, status === 403)
    }
    const { json } = await client.send({ path: `/v1/jobs?type=${name}`, key: world.keys.red.all })
    for (const { id } of json.items) await client.send({ method: 'DELETE', path: `/v1/jobs/${id}`, key: world.keys.red.all })
    const remove = async () => (await client.send({ method: 'DELETE', path: pathOf(name), key: world.keys.admin })).status === 204
    await until('the type is deleted', remove)
    return 'definitions of every outcome, keys of every kind'
  },
}
