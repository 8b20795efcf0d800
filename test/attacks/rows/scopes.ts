// Rows 23 and 24: every operation of the API document with every key that may not call it, and with none.

import type { Wanted } from '../client.js'
import { absentJobId } from '../job-ids.js'
import { type KeyName, keyNames } from '../keys.js'
import { type DocumentedOperation, type Need, type Objects, readOperations } from '../operations.js'
import type { Attack, Row } from '../row.js'
import { toShape } from '../same-answer.js'
import { submitDelayed } from '../submit.js'

/** Which keys may call what. */
const allowed: Readonly<Record<Need, readonly KeyName[]>> = {
  none: keyNames,
  submit: ['submit', 'all', 'admin'],
  read: ['read', 'all', 'admin'],
  manage: ['manage', 'all', 'admin'],
  work: ['work', 'admin'],
  types: ['types', 'admin'],
  admin: ['admin'],
}

/** What is no key: each would be let in by a check that is a little off. */
const garbage = (admin: string, other: string): readonly (readonly [string, Readonly<Record<string, string>>])[] => [
  ['no key', {}],
  ['an empty header', { authorization: '' }],
  ['the scheme alone', { authorization: 'Bearer' }],
  ['the scheme and a space', { authorization: 'Bearer ' }],
  ['another scheme', { authorization: `Basic ${Buffer.from(`admin:${admin}`).toString('base64')}` }],
  ['the key alone', { authorization: admin }],
  ['two keys', { authorization: `Bearer ${admin} ${admin}` }],
  ['keys in a list', { authorization: `Bearer x, Bearer ${admin}` }],
  ['quotes around it', { authorization: `Bearer "${admin}"` }],
  ['one character less', { authorization: `Bearer ${admin.slice(0, -1)}` }],
  ['one character more', { authorization: `Bearer ${admin}x` }],
  ['another case', { authorization: `Bearer ${admin.toUpperCase()}` }],
  ['the id of one key, the secret of another', { authorization: `Bearer ${admin.slice(0, 20)}${other.slice(20)}` }],
  [
    'other headers',
    { 'x-api-key': admin, 'api-key': admin, 'x-authorization': `Bearer ${admin}`, 'proxy-authorization': `Bearer ${admin}` },
  ],
  ['a cookie', { cookie: `jobgate_board=${admin}; authorization=${admin}` }],
  ['undefined', { authorization: 'Bearer undefined' }],
  ['null', { authorization: 'Bearer null' }],
  ['__proto__', { authorization: 'Bearer __proto__' }],
  ['a very long key', { authorization: `Bearer ${'a'.repeat(8000)}` }],
]

const send = ({ client, tried }: Attack, wanted: Wanted, key?: string) => {
  tried()
  return client.send({ ...wanted, ...(key === undefined ? {} : { key }) })
}

const withoutKey = async (attack: Attack, operation: DocumentedOperation, objects: Objects) => {
  const { admin, red } = attack.world.keys
  const wanted = operation.wanted(objects)
  for (const [name, headers] of garbage(red.admin, admin)) {
    const { status } = await send(attack, { ...wanted, headers: { ...wanted.headers, ...headers } })
    attack.check(`${operation.id} with ${name}: ${status}`, status === 401)
  }
  const { status } = await send(attack, { ...wanted, path: `${wanted.path}?access_token=${admin}&key=${admin}&api_key=${admin}` })
  attack.check(`${operation.id} with the key in the query: ${status}`, status === 401)
}

/** With a key of the wrong scope it makes no difference whether there is such an object. */
const withWrongScope = async (attack: Attack, operation: DocumentedOperation, objects: Objects, absent: Objects) => {
  for (const name of keyNames) {
    if (allowed[operation.need].includes(name)) continue
    const key = attack.world.keys.red[name]
    const [own, none] = [await send(attack, operation.wanted(objects), key), await send(attack, operation.wanted(absent), key)]
    attack.check(`${operation.id} with ${name}: ${own.status}`, own.status === 403)
    attack.check(
      `${operation.id} with ${name}: there is a difference between what is there and what is not`,
      toShape(own) === toShape(none),
    )
  }
  for (const name of ['redTypes', 'redQueues'] as const) {
    if (operation.need !== 'admin') continue
    const { status } = await send(attack, operation.wanted(objects), attack.world.keys[name])
    attack.check(`${operation.id} with ${name}: ${status}`, status === 403)
  }
}

/** Those that may are not refused: otherwise all of the above would hold for a gateway that is shut. */
const withRightScope = async (attack: Attack, operation: DocumentedOperation, objects: Objects) => {
  if (operation.spares || operation.id === 'followJob') return
  for (const name of allowed[operation.need]) {
    const { status } = await send(attack, operation.wanted(objects), attack.world.keys.red[name])
    attack.check(`${operation.id} with ${name}: ${status}`, status !== 401 && status !== 403)
  }
}

export const scopes: Row = {
  id: 'scopes',
  title: 'Every operation with every scope, without a key, and with what is no key',
  matrix: 24,
  quick: true,
  async run(attack) {
    const { all } = attack.world.keys.red
    const operations = readOperations()
    const absent = { job: absentJobId('ext'), schedule: 'not-there' }
    for (const operation of operations) {
      if (operation.need === 'none') continue
      const objects = { job: await submitDelayed(attack, all, 'scopes'), schedule: 'scopes' }
      await withoutKey(attack, operation, objects)
      await withWrongScope(attack, operation, objects, absent)
      await withRightScope(attack, operation, objects)
    }
    return `${operations.length} operations`
  },
}
