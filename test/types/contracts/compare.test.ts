// Evolution of contracts: a change that is accepted never refuses a document that was fine before.

import t from 'tap'
import { compareContracts } from '../../../src/types/contracts/compare.js'
import type { Contract } from '../../../src/types/contracts/contract.js'
import { fillDefaults } from '../../../src/types/contracts/defaults.js'
import { parseContract } from '../../../src/types/contracts/parse.js'
import { createRandom, findCounterexample, sampleDocument } from '../../../src/types/contracts/sample.js'
import { createContractValidator } from '../../../src/types/contracts/validator.js'
import { mutateContract, randomContract } from '../../helpers/random-contracts.js'

const parse = (schema: unknown): Contract => {
  const parsed = parseContract(schema)
  if (parsed.kind === 'refused') throw new Error(JSON.stringify(parsed.faults))
  return parsed.contract
}
const object = (properties: Record<string, unknown>, required: string[] = [], more = {}) => ({
  type: 'object',
  properties,
  required,
  additionalProperties: false,
  ...more,
})
const text = { type: 'string', maxLength: 10 }

t.test('random pairs: what was accepted refuses no document', async (t) => {
  const seed = Number(process.env['SEED'] ?? Math.floor(Math.random() * 2 ** 31))
  const pairs = Number(process.env['PAIRS'] ?? 5_000)
  const random = createRandom(seed)
  let accepted = 0
  let documents = 0
  let fitting = 0
  for (let pair = 0; pair < pairs; pair++) {
    const from = randomContract(random)
    const to = random() < 0.1 ? randomContract(random) : mutateContract(from, random)
    const [before, after] = [parse(from), parse(to)]
    if (compareContracts(before, after).findings.length > 0) continue
    accepted++
    const [fitsBefore, fitsAfter] = [createContractValidator(before), createContractValidator(after)]
    for (let count = 0; count < 10; count++) {
      const document = sampleDocument(before, random)
      documents++
      if (!fitsBefore(document)) continue
      fitting++
      if (fitsAfter(fillDefaults(after, document))) continue
      t.fail(JSON.stringify({ seed, pair, from, to, document, errors: fitsAfter.errors }))
      return
    }
  }
  t.comment(`seed ${seed}: ${accepted} of ${pairs} pairs accepted, ${fitting} of ${documents} documents fit`)
  t.ok(accepted > pairs / 10 && accepted < (pairs * 9) / 10)
  t.ok(fitting > documents * 0.8)
})

const cases: readonly [what: string, from: object, to: object, rules: string[]][] = [
  ['a new optional member', object({ a: text }), object({ a: text, b: text }), []],
  ['a new member that is required', object({ a: text }), object({ a: text, b: text }, ['b']), ['required']],
  ['one that has a default', object({ a: text }), object({ a: text, b: { ...text, default: 'x' } }, ['b']), []],
  ['a member removed', object({ a: text, b: text }), object({ a: text }), ['properties']],
  ['a wider bound', object({ a: text }), object({ a: { ...text, maxLength: 11 } }), []],
  ['a narrower bound', object({ a: text }), object({ a: { ...text, maxLength: 9 } }), ['maxLength']],
  ['a looser required', object({ a: text }, ['a']), object({ a: text }), []],
  ['another type', object({ a: text }), object({ a: { type: 'integer' } }), ['type']],
  ['integer to number', object({ a: { type: 'integer' } }), object({ a: { type: 'number' } }), []],
  ['null as well', object({ a: text }), object({ a: { anyOf: [text, { type: 'null' }] } }), []],
  ['a value more', object({ a: { enum: ['x'] } }), object({ a: { enum: ['x', 'y'] } }), []],
  ['a value less', object({ a: { enum: ['x', 'y'] } }), object({ a: { enum: ['x'] } }), ['enum']],
  ['another pattern', object({ a: { ...text, pattern: 'a' } }), object({ a: { ...text, pattern: 'b' } }), ['pattern']],
  ['a closed object opened', object({ a: text }), object({ a: text }, [], { additionalProperties: text, maxProperties: 9 }), []],
  ['a map closed', object({}, [], { additionalProperties: text, maxProperties: 9 }), object({}), ['additionalProperties']],
]
for (const [what, from, to, rules] of cases) {
  t.test(what, async (t) => {
    const found = compareContracts(parse(from), parse(to)).findings
    t.same(
      found.map(({ rule }) => rule),
      rules,
    )
    const counterexample = await findCounterexample(parse(from), parse(to))
    if (found.some(({ isCertain }) => isCertain)) t.not(counterexample, undefined)
    if (found.length === 0) t.equal(counterexample, undefined)
  })
}

t.test('where it is open which branch a document fits, no default is filled in', async (t) => {
  const plain = object({ kind: { const: 'a' } }, ['kind'])
  const other = object({ kind: { const: 'a' }, more: { type: 'boolean', default: true } }, ['kind', 'more'])
  const from = parse(object({ b: { anyOf: [{ oneOf: [plain] }, { oneOf: [other] }] } }))
  const to = parse(object({ b: { anyOf: [{ anyOf: [{ oneOf: [plain] }, { type: 'null' }] }, { oneOf: [other] }] } }))
  t.same(compareContracts(from, to).findings, [])
  const document = { b: { kind: 'a' } }
  t.same(fillDefaults(to, document), document)
})

t.test('what is allowed and worth knowing', async (t) => {
  t.match(compareContracts(parse(object({ a: { enum: ['x'] } })), parse(object({ a: { enum: ['x', 'y'] } }))).warnings, [
    { pointer: '#/a', rule: 'enum' },
  ])
})
