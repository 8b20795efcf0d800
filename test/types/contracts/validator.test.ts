// The validator of contracts: the verdicts of Ajv, faults that name the member, and an end even to what was made to have none.

import { Ajv2020 } from 'ajv/dist/2020.js'
import formats from 'ajv-formats'
import t from 'tap'
import { parseContract } from '../../../src/types/contracts/parse.js'
import { createRandom, type Random, sampleDocument } from '../../../src/types/contracts/sample.js'
import { createContractValidator } from '../../../src/types/contracts/validator.js'
import { toFieldProblems } from '../../../src/types/field-problems.js'
import { randomContract } from '../../helpers/random-contracts.js'

const open = (schema: unknown) => {
  const parsed = parseContract(schema)
  if (parsed.kind === 'refused') throw new Error(JSON.stringify(parsed.faults))
  return { contract: parsed.contract, validate: createContractValidator(parsed.contract) }
}
const faultsOf = (schema: unknown, data: unknown) => {
  const { validate } = open(schema)
  return validate(data) ? [] : toFieldProblems(validate.errors ?? [], 'body', '/data').map(({ pointer, detail }) => `${pointer} ${detail}`)
}

/** Something in it is another. */
const spoil = (value: unknown, random: Random): unknown => {
  const strange = [null, true, 0, -1.5, 7, 1e9, '', 'a', 'x'.repeat(70), [], [1, 1], {}, { kind: 'k0' }, { a: null, z: 1 }]
  const one = <T>(of: readonly T[]): T => of[Math.floor(random() * of.length)] as T
  if (typeof value !== 'object' || value === null || random() < 0.3) return one(strange)
  if (Array.isArray(value)) return value.length === 0 ? [one(strange)] : value.with(0, spoil(value[0], random))
  const [name] = Object.keys(value).filter(() => random() < 0.7)
  if (name === undefined) return { ...value, [one(['a', 'b', 'zz'])]: one(strange) }
  if (random() < 0.3) return Object.fromEntries(Object.entries(value).filter(([each]) => each !== name))
  return { ...value, [name]: spoil((value as Record<string, unknown>)[name], random) }
}

t.test('random contracts and documents: the verdicts of Ajv', async (t) => {
  const seed = Number(process.env['SEED'] ?? Math.floor(Math.random() * 2 ** 31))
  const random = createRandom(seed)
  let fitting = 0
  let checked = 0
  for (let count = 0; count < 150; count++) {
    const schema = randomContract(random)
    const ajv = new Ajv2020({ strict: false, multipleOfPrecision: 9 })
    ;(formats as unknown as (ajv: Ajv2020) => void)(ajv)
    const theirs = ajv.compile(schema)
    const { contract, validate } = open(schema)
    for (let each = 0; each < 20; each++) {
      const sample = sampleDocument(contract, random)
      const document = random() < 0.6 ? spoil(sample, random) : sample
      const [own, other] = [validate(document), theirs(document)]
      checked++
      if (own) fitting++
      if (own === other) continue
      t.fail(JSON.stringify({ seed, schema, document, own, other, errors: validate.errors ?? theirs.errors }))
      return
    }
  }
  t.comment(`seed ${seed}: ${fitting} of ${checked} documents fit`)
  t.ok(fitting > checked / 5 && fitting < (checked * 4) / 5)
})

const closed = { type: 'object', additionalProperties: false }
const text = { type: 'string', maxLength: 5 }

t.test('faults name the member, all of them, and of branches the one that was meant', async (t) => {
  const schema = {
    ...closed,
    properties: {
      name: text,
      list: { type: 'array', items: { type: 'integer' }, maxItems: 3 },
      'a/b': { anyOf: [{ ...closed, properties: { x: text } }, { type: 'null' }] },
      way: {
        oneOf: ['mail', 'sms'].map((kind) => ({
          ...closed,
          properties: { kind: { const: kind }, [kind]: text },
          required: ['kind', kind],
        })),
      },
    },
    required: ['name'],
  }
  t.same(faultsOf(schema, { list: [1, 'x', 2.5], 'a/b': { x: 1 }, way: { kind: 'sms', mail: 'a' }, more: 1 }), [
    '#/data/name is missing',
    '#/data/list/1 must be integer',
    '#/data/list/2 must be integer',
    '#/data/a~1b/x must be string',
    '#/data/way/sms is missing',
    '#/data/way/mail is not a known member',
    '#/data/more is not a known member',
  ])
  t.same(faultsOf(schema, { name: 'x', way: { kind: 'fax' } }), ['#/data/way/kind must be one of "mail", "sms"'])
  t.same(faultsOf(schema, { name: 'x', way: {} }), ['#/data/way/kind is missing'])
  t.same(faultsOf(schema, { name: 'x', 'a/b': 7 }), ['#/data/a~1b matches none of the allowed forms'])
  t.same(faultsOf(schema, null), ['#/data must be object'])
})

t.test('numbers as they are written, texts in characters, integers within what JSON carries exactly', async (t) => {
  const fits = (schema: unknown, value: unknown) => open(schema).validate(value)
  t.ok(fits({ type: 'number', multipleOf: 0.1 }, 0.3))
  t.notOk(fits({ type: 'number', multipleOf: 0.1 }, 0.35))
  t.ok(fits({ type: 'number', multipleOf: 1e-300 }, 1e300))
  t.ok(fits(text, '😀😀😀😀😀'))
  t.notOk(fits(text, '😀😀😀😀😀😀'))
  t.notOk(fits({ ...text, minLength: 3 }, '😀😀'))
  t.notOk(fits({ type: 'integer' }, 2 ** 53))
  t.notOk(fits({ type: 'array', items: { type: 'number' }, maxItems: 9, uniqueItems: true }, [1, 1.0]))
  t.ok(fits({ type: 'array', items: { enum: [1, '1', '{}'] }, maxItems: 9, uniqueItems: true }, [1, '1', '{}']))
})

t.test('names that every object inherits are no members', async (t) => {
  const schema = { ...closed, properties: { constructor: text }, required: ['constructor'] }
  t.same(faultsOf(schema, {}), ['#/data/constructor is missing'])
  t.same(faultsOf(schema, { constructor: 'x', toString: 1 }), ['#/data/toString is not a known member'])
  t.same(faultsOf(schema, JSON.parse('{"constructor":"x","__proto__":1}')), ['#/data/__proto__ is not a known member'])
})

t.test('a document that would take too long is refused', async (t) => {
  let schema: unknown = { type: 'array', items: { type: 'integer', minimum: 1 }, maxItems: 1_000_000 }
  for (let depth = 0; depth < 3; depth++)
    schema = { anyOf: Array.from({ length: 15 }, (_, at) => (at === 0 ? schema : { $ref: '#/$defs/same' })) }
  const same = { type: 'array', items: { type: 'integer', minimum: 1 }, maxItems: 1_000_000, minItems: 1 }
  const { validate } = open({ ...(schema as object), $defs: { same } })
  t.notOk(validate([...Array.from({ length: 100_000 }, () => 1), 0]))
  t.match(validate.errors, [{ keyword: 'steps' }])
  t.ok(validate([1, 2, 3]))
})
