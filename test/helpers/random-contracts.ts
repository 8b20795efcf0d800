// Random schemas of the subset, and small random changes of them, for tests that compare contracts or check documents.

import type { Random } from '../../src/types/contracts/sample.js'

type Schema = Record<string, unknown>

const pick = <T>(random: Random, of: readonly T[]): T => of[Math.floor(random() * of.length)] as T
const upTo = (random: Random, most: number): number => Math.floor(random() * (most + 1))
const names = ['a', 'b', 'c', 'd', 'e']
const maybe = (random: Random, members: Schema, share = 0.5): Schema => (random() < share ? members : {})

export const randomContract = (random: Random, depth = 0): Schema => {
  const kinds = depth > 2 ? scalars : [...scalars, ...composites]
  const schema = depth === 0 ? randomObject(random, depth) : pick(random, kinds)(random, depth)
  return schema
}

type Make = (random: Random, depth: number) => Schema

const scalars: readonly Make[] = [
  (random) => ({
    type: 'string',
    ...maybe(random, { minLength: upTo(random, 3) }),
    maxLength: 3 + upTo(random, 4),
    ...maybe(random, { pattern: pick(random, ['^a', 'a$', '[0-9]', '']) }, 0.1),
  }),
  (random) => ({ type: 'string', format: pick(random, ['date', 'email', 'uuid', 'uri']), ...maybe(random, { maxLength: 60 }, 0.2) }),
  (random) => ({ type: pick(random, ['integer', 'number']), ...randomBounds(random) }),
  (random) => ({ type: 'boolean', ...maybe(random, { default: true }, 0.2) }),
  () => ({ type: 'null' }),
  (random) => ({ enum: ['x', 'y', 'z', 1, null, true].filter((_, at) => at === 0 || random() < 0.5) }),
  (random) => ({ const: pick(random, ['x', 1, null]) }),
  (random) => ({
    type: ['string', 'null', 'integer'].filter((_, at) => at === 0 || random() < 0.6),
    maxLength: 5,
    ...maybe(random, { default: 'x' }, 0.3),
  }),
]

const randomBounds = (random: Random): Schema => ({
  ...maybe(random, { minimum: upTo(random, 5) - 3 }, 0.4),
  ...maybe(random, { maximum: 5 + upTo(random, 5) }, 0.4),
  ...maybe(random, { exclusiveMinimum: upTo(random, 4) - 4 }, 0.2),
  ...maybe(random, { exclusiveMaximum: 6 + upTo(random, 5) }, 0.2),
  ...maybe(random, { multipleOf: pick(random, [1, 2, 0.5, 0.1, 3]) }, 0.2),
})

const randomObject: Make = (random, depth) => {
  const chosen = names.filter(() => random() < 0.5)
  const properties = Object.fromEntries(chosen.map((name) => [name, randomContract(random, depth + 1)]))
  const required = chosen.filter(() => random() < 0.4)
  const isMap = random() < 0.15
  return {
    type: 'object',
    properties,
    required,
    ...(isMap
      ? { additionalProperties: randomContract(random, depth + 2), maxProperties: 6 + upTo(random, 3) }
      : { additionalProperties: false }),
    ...maybe(random, { minProperties: upTo(random, required.length) }, 0.1),
  }
}

const composites: readonly Make[] = [
  randomObject,
  (random, depth) => ({
    type: 'array',
    items: randomContract(random, depth + 1),
    ...maybe(random, { minItems: upTo(random, 2) }, 0.3),
    maxItems: 2 + upTo(random, 3),
    ...maybe(random, { uniqueItems: true }, 0.1),
  }),
  (random, depth) => ({
    type: 'array',
    prefixItems: [randomContract(random, depth + 1), randomContract(random, depth + 1)],
    items: random() < 0.5 ? false : randomContract(random, depth + 1),
    maxItems: 3,
  }),
  (random, depth) => ({ anyOf: Array.from({ length: 1 + upTo(random, 2) }, () => randomContract(random, depth + 1)) }),
  (random, depth) => ({
    oneOf: Array.from({ length: 1 + upTo(random, 2) }, (_, at) => {
      const branch = randomObject(random, depth + 1) as { properties: Schema; required: string[] }
      return {
        ...branch,
        properties: { ...branch.properties, kind: { const: `k${at}` } },
        required: [...branch.required, 'kind'],
        minProperties: 0,
      }
    }),
  }),
]

const bounds = [
  'minLength',
  'maxLength',
  'minimum',
  'maximum',
  'exclusiveMinimum',
  'exclusiveMaximum',
  'minItems',
  'maxItems',
  'minProperties',
]

/** Another schema, much like the one given: one to three places are changed. */
export const mutateContract = (schema: Schema, random: Random): Schema => {
  let changed = schema
  for (let count = 0; count <= upTo(random, 2); count++) changed = mutate(changed, random, 0)
  return changed
}

const mutate = (schema: Schema, random: Random, depth: number): Schema => {
  const paths = (['properties', 'items', 'prefixItems', 'anyOf', 'oneOf', 'additionalProperties'] as const).filter(
    (name) => typeof schema[name] === 'object' && schema[name] !== null && Object.keys(schema[name]).length > 0,
  )
  if (paths.length > 0 && random() < 0.6) return mutateBelow(schema, pick(random, paths), random, depth)
  return repair({ ...schema, ...change(schema, random, depth) })
}

const mutateBelow = (schema: Schema, name: string, random: Random, depth: number): Schema => {
  const value = schema[name] as Schema | Schema[]
  if (Array.isArray(value)) {
    const at = upTo(random, value.length - 1)
    const next = mutate(value[at] as Schema, random, depth + 1)
    return { ...schema, [name]: value.with(at, name === 'oneOf' ? keepTag(next, at) : next) }
  }
  if (name !== 'properties') return { ...schema, [name]: mutate(value, random, depth + 1) }
  const member = pick(random, Object.keys(value))
  return {
    ...schema,
    properties: { ...value, [member]: member === 'kind' ? value[member] : mutate(value[member] as Schema, random, depth + 1) },
  }
}

const keepTag = (branch: Schema, at: number): Schema => ({
  ...branch,
  properties: { ...(branch['properties'] as Schema), kind: { const: `k${at}` } },
  required: [...new Set([...((branch['required'] as string[]) ?? []), 'kind'])],
})

const change = (schema: Schema, random: Random, depth: number): Schema => {
  if (schema['type'] === 'object') return changeObject(schema, random, depth)
  if (Array.isArray(schema['enum'])) return { enum: random() < 0.6 ? [...schema['enum'], 'new'] : schema['enum'].slice(0, 1) }
  const present = bounds.filter((name) => typeof schema[name] === 'number')
  const name = present.length > 0 ? pick(random, present) : undefined
  if (name && random() < 0.8) return { [name]: Math.max(0, (schema[name] as number) + pick(random, [-1, 1, 2])) }
  if (random() < 0.3) return wrap(schema, random)
  return schema['type'] === 'integer' ? { type: 'number' } : {}
}

/** Something else may be there as well. */
const wrap = (schema: Schema, random: Random): Schema => ({
  ...Object.fromEntries(Object.keys(schema).map((name) => [name, undefined])),
  anyOf: [schema, random() < 0.5 ? { type: 'null' } : { type: 'string', maxLength: 20 }],
})

const changeObject = (schema: Schema, random: Random, depth: number): Schema => {
  const properties = schema['properties'] as Schema
  const required = schema['required'] as string[]
  const name = pick(random, names)
  const choice = random()
  if (choice < 0.3) return { properties: { [name]: randomContract(random, depth + 1), ...properties } }
  if (choice < 0.5) return { required: required.filter((each) => each !== name) }
  if (choice < 0.6) return { properties: Object.fromEntries(Object.entries(properties).filter(([each]) => each !== name)) }
  if (choice < 0.8)
    return {
      properties: { ...properties, [name]: { type: 'string', maxLength: 9, default: 'x' } },
      required: [...new Set([...required, name])],
    }
  return { required: [...new Set([...required, ...Object.keys(properties).slice(0, 1)])] }
}

/** What a change has made contradictory. */
const repair = (schema: Schema): Schema => {
  const kept = Object.fromEntries(Object.entries(schema).filter(([, value]) => value !== undefined))
  const { properties, required } = kept as { properties?: Schema; required?: string[] }
  if (properties && required) kept['required'] = required.filter((name) => Object.hasOwn(properties, name))
  for (const [low, high] of [
    ['minLength', 'maxLength'],
    ['minItems', 'maxItems'],
  ] as const)
    if (typeof kept[low] === 'number' && typeof kept[high] === 'number') kept[high] = Math.max(kept[low], kept[high])
  return kept
}
