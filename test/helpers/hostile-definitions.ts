// Definitions of job types, pairs of them and documents that were made to hold a gateway up, or to bring it down.

import { createRandom, type Random } from '../../src/types/contracts/sample.js'
import { randomContract } from './random-contracts.js'

type Schema = Record<string, unknown>

export const closed = (properties: Schema, required: readonly string[] = []): Schema => ({
  type: 'object',
  properties,
  required,
  additionalProperties: false,
})
export const define = (data: unknown, more: Schema = {}): Schema => ({ description: 'x', data, example: {}, runs: { by: 'pull' }, ...more })
const int = { type: 'integer' }
const text = { type: 'string', maxLength: 4096 }
const range = <T>(count: number, make: (at: number) => T): T[] => Array.from({ length: count }, (_, at) => make(at))
const members = (count: number, make: (at: number) => unknown): Schema => Object.fromEntries(range(count, (at) => [`k${at}`, make(at)]))
const nest = (levels: number, wrap: (inner: unknown) => unknown, inner: unknown = int): unknown =>
  range(levels, () => 0).reduce<unknown>((made) => wrap(made), inner)
/** Each definition refers to the one below, `times` times. */
const bomb = (levels: number, wrap: (refs: Schema[]) => unknown, times = 2): Schema => ({
  ...closed({ a: { $ref: `#/$defs/d${levels}` } }),
  $defs: Object.fromEntries(
    range(levels + 1, (at) => [`d${at}`, at === 0 ? int : wrap(range(times, () => ({ $ref: `#/$defs/d${at - 1}` })))]),
  ),
})
const tagged = (count: number, branch: (at: number) => Schema): Schema => ({
  oneOf: range(count, (at) => closed({ kind: { const: `k${at}` }, ...branch(at) }, ['kind'])),
})

const patterns = [
  '^(a+)+$',
  '(a|a)*b',
  '(a?){500}a{500}',
  '((a{30}){30}){30}',
  '(((a{10}){10}){10}){10}',
  '.{0,1000}.{0,1000}.{0,900}[xy]',
  '(a[ab]{0,100}b[ab]{0,100}){2}[xy]',
  '(a.{0,20}b.{0,20}){12}[xy]',
  '[ab]*a[ab]{100}[xy]',
  '(\\p{L}|\\p{N}|\\p{S}){0,900}[xy]',
  `(?i)${'\\p{L}{1000}'.repeat(40)}`,
  '\\x{10FFFF}{1000}',
  '(?=a)b',
  '(?<=a)b',
  '(a)\\1',
  '(?<n>a)\\k<n>',
  '(((((((((((((((((((((((((((((((((((((((((((((((((',
  '[',
  '[z-a]',
  '\\',
  'a{999999999999}',
  'a{1000}'.repeat(60),
  `${'(a*'.repeat(100)}${')*'.repeat(100)}`,
  'x'.repeat(513),
  `^(${range(120, () => 'a*').join('|')})*b$`,
  '\u0000',
  '\ud800',
]

const names = [
  '__proto__',
  'constructor',
  'prototype',
  'toString',
  'hasOwnProperty',
  '',
  '/',
  '~',
  '*',
  '\u0000',
  '\ud800',
  'k'.repeat(30_000),
]

/** Some value in a contract replaced by something else. */
const disfigure = (random: Random): Schema => {
  const contract = randomContract(random)
  const places: [Schema, string][] = []
  const visit = (node: unknown): void => {
    if (typeof node !== 'object' || node === null) return
    for (const name of Object.keys(node)) {
      places.push([node as Schema, name])
      visit((node as Schema)[name])
    }
  }
  visit(contract)
  const values = [
    null,
    -1,
    1e308,
    1.5,
    2 ** 53,
    '',
    'x',
    [],
    {},
    true,
    [[]],
    [null],
    { $ref: '#' },
    { $ref: '#/$defs/%' },
    [{}],
    ['a', 'a'],
  ]
  for (let count = 0; count < 3; count++) {
    const [node, name] = places[Math.floor(random() * places.length)] ?? [contract, 'type']
    node[name] = structuredClone(values[Math.floor(random() * values.length)])
  }
  return contract
}

/** Bodies, as text: some of them cannot be made from values. At least 200. */
export const hostileDefinitions = (): [what: string, body: string][] => {
  const random = createRandom(13)
  const values: [string, unknown][] = [
    ...range(10, (at): [string, unknown] => [`anyOf, ${at} deep`, closed({ a: nest(at, (inner) => ({ anyOf: [inner, inner] })) })]),
    ...range(4, (at): [string, unknown] => [
      `anyOf of 20, ${at} deep`,
      closed({ a: nest(at, (inner) => ({ anyOf: range(20, () => inner) })) }),
    ]),
    ...range(12, (at): [string, unknown] => [`anyOf of references, ${at} deep`, bomb(at, (refs) => ({ anyOf: refs }))]),
    ...range(12, (at): [string, unknown] => [
      `members of references, ${at} deep`,
      bomb(at, ([one, other]) => closed({ a: one, b: other })),
    ]),
    ...range(6, (at): [string, unknown] => [
      `lists of references, ${at} deep`,
      bomb(at, (refs) => ({ type: 'array', prefixItems: refs, items: false }), 20),
    ]),
    ['a reference to itself', { ...closed({}), $defs: { a: { $ref: '#/$defs/a' } } }],
    [
      'a circle',
      { ...closed({ a: { $ref: '#/$defs/a' } }), $defs: { a: { $ref: '#/$defs/b' }, b: { anyOf: [{ $ref: '#/$defs/a' }, int] } } },
    ],
    [
      'a chain',
      {
        ...closed({ a: { $ref: '#/$defs/c400' } }),
        $defs: Object.fromEntries(range(401, (at) => [`c${at}`, at === 0 ? int : { $ref: `#/$defs/c${at - 1}` }])),
      },
    ],
    ['references with names of their own', bomb(8, (refs) => closed(members(10, () => ({ ...refs[0], title: 'x' }))))],
    ['another document', closed({ a: { $ref: 'http://127.0.0.1:1/x' } })],
    ['a file', closed({ a: { $ref: 'file:///etc/passwd' } })],
    ['many values', closed({ a: { enum: range(200, (at) => `${at}`.padEnd(150, 'x')) } })],
    ['too many values', closed({ a: { enum: range(20_000, (at) => at) } })],
    ['many lists of values', closed(members(200, () => ({ enum: range(20, (at) => at) })))],
    ['values that are objects', closed({ a: { enum: [{ a: {} }, []] } })],
    ...[1000, 5000, 60_000].map((levels): [string, unknown] => [`${levels} keywords`, { ...closed({}), ...members(levels, (at) => at) }]),
    [
      'many members',
      closed(
        members(200, () => text),
        range(200, (at) => `k${at}`),
      ),
    ],
    ['too many members', closed(members(3000, () => int))],
    ['too many required', { ...closed({}), required: range(4000, (at) => `${at}`) }],
    [
      'maps that require much',
      tagged(20, () => ({
        m: { type: 'object', additionalProperties: int, maxProperties: 10_000, required: range(190, (at) => `${at}`) },
      })),
    ],
    ['many branches that differ late', tagged(20, () => members(20, () => ({ const: 1 })))],
    ['branches of branches', closed({ a: nest(5, (inner) => tagged(4, () => ({ inner })), text) })],
    ['lists without end', closed({ a: nest(13, (items) => ({ type: 'array', items, minItems: 4, maxItems: 1e9 })) })],
    ['long texts', closed({ a: { type: 'string', minLength: 2 ** 40, maxLength: 2 ** 50 } })],
    ['lists of many', closed({ a: { type: 'array', items: int, minItems: 2 ** 32, maxItems: 2 ** 40 } })],
    ['numbers at the edge', closed({ a: { type: 'number', multipleOf: 5e-324, minimum: 1.7e308, maximum: 1.7e308 } })],
    ['defaults that take long', { ...bomb(9, (refs) => ({ anyOf: refs })), default: { a: 'x' } }],
    [
      'many defaults that take long',
      closed(
        members(150, () => ({
          anyOf: range(2, () => ({ type: 'array', items: { anyOf: [int, int] }, maxItems: 100 })),
          default: range(20, () => 'x'),
        })),
      ),
    ],
    [
      'defaults beside references',
      {
        ...closed(members(200, () => ({ $ref: '#/$defs/p', default: 'x' }))),
        $defs: { p: { anyOf: range(20, (at) => ({ ...text, maxLength: 100, pattern: `a{${at}}b{50}` })) } },
      },
    ],
    [
      'sensitive members below long names',
      { ...closed({ ['n'.repeat(8000)]: { $ref: '#/$defs/d3' } }), $defs: bomb(3, ([one]) => closed(members(12, () => one)))['$defs'] },
    ],
    [
      'very many sensitive members',
      {
        ...closed({ ['n'.repeat(8000)]: { $ref: '#/$defs/d3' } }),
        $defs: {
          d0: { ...int, 'x-sensitive': true },
          ...Object.fromEntries(range(3, (at) => [`d${at + 1}`, closed(members(12, () => ({ $ref: `#/$defs/d${at}` })))])),
        },
      },
    ],
    ...patterns.map((pattern): [string, unknown] => [`pattern ${pattern.slice(0, 40)}`, closed({ a: { ...text, pattern } })]),
    ...patterns
      .slice(0, 12)
      .map((pattern): [string, unknown] => [
        `short texts, pattern ${pattern.slice(0, 40)}`,
        closed({ a: { ...text, maxLength: 100, pattern } }),
      ]),
    ['many patterns', closed(members(60, (at) => ({ ...text, maxLength: 10, pattern: `^(a|b){0,30}${at}` })))],
    ...names.map((name): [string, unknown] => [
      `a member ${name.slice(0, 20)}`,
      { type: 'object', properties: Object.fromEntries([[name, int]]), required: [name], additionalProperties: false },
    ]),
    ...names
      .slice(0, 6)
      .map((name): [string, unknown] => [
        `a definition ${name}`,
        { ...closed({ a: { $ref: `#/$defs/${name}` } }), $defs: Object.fromEntries([[name, int]]) },
      ]),
    ...range(90, (at): [string, unknown] => [`disfigured ${at}`, disfigure(random)]),
    ['no schema', 'x'],
    ['nothing', null],
  ]
  const deep = (levels: number) => `${'{"items":'.repeat(levels)}{}${'}'.repeat(levels)}`
  return [
    ...values.map(([what, data]): [string, string] => [what, JSON.stringify(define(data))]),
    ['a result that takes long', JSON.stringify(define(closed({}), { result: bomb(9, (refs) => ({ anyOf: refs })) }))],
    [
      'an example that takes long',
      JSON.stringify(
        define(
          bomb(9, (refs) => ({ anyOf: refs })),
          { example: { a: 'x' } },
        ),
      ),
    ],
    [
      'an example of 200 kB',
      JSON.stringify(
        define(closed({ a: { type: 'array', items: { anyOf: range(20, () => int) }, maxItems: 1e6 } }), {
          example: { a: range(60_000, () => 'x') },
        }),
      ),
    ],
    ...[20, 200, 5000, 20_000].map((levels): [string, string] => [
      `${levels} levels`,
      JSON.stringify(define(0)).replace('"data":0', `"data":${deep(levels)}`),
    ]),
    ['a prototype', '{"__proto__":{"description":"x"},"data":{"__proto__":{"type":"object"}},"example":{},"runs":{"by":"pull"}}'],
    ['a constructor', '{"constructor":{"prototype":{"description":"x"}},"data":{},"example":{},"runs":{"by":"pull"}}'],
    ['250 kB of description', JSON.stringify(define(closed({}), { description: 'x'.repeat(250_000) }))],
    ['10 MB', JSON.stringify(define(closed({ a: { const: 'x'.repeat(10_000_000) } })))],
    ['10 MB of brackets', '['.repeat(10_000_000)],
  ]
}

const manyValues = (from: number) => ({ enum: range(200, (at) => `${at + from}`.padEnd(100, 'x')) })
const lists = (levels: number, last: unknown) =>
  closed({ a: nest(levels, (items) => ({ type: 'array', items, maxItems: 9 }), last) }, ['a'])

/** Earlier and later versions that are compared, and of which an example is looked for. */
export const hostilePairs = (): [what: string, before: Schema, after: Schema][] => [
  ['lists of lists', lists(12, int), lists(12, { ...int, maximum: -1e9 })],
  [
    'lists of lists that differ in what is seldom',
    lists(12, { type: 'integer', minimum: 0 }),
    lists(12, { type: 'integer', minimum: 0, maximum: 2 ** 50 }),
  ],
  [
    'long texts',
    closed({ a: { type: 'string', minLength: 2 ** 40, maxLength: 2 ** 41 } }, ['a']),
    closed({ a: { type: 'string', minLength: 2 ** 40, maxLength: 2 ** 40 } }, ['a']),
  ],
  [
    'long lists',
    closed({ a: { type: 'array', items: int, minItems: 2 ** 32, maxItems: 2 ** 33 } }, ['a']),
    closed({ a: { type: 'array', items: int, maxItems: 2 ** 32 } }, ['a']),
  ],
  [
    'large maps',
    closed({ a: { type: 'object', additionalProperties: int, minProperties: 10_000, maxProperties: 10_000 } }, ['a']),
    closed({ a: { type: 'object', additionalProperties: int, maxProperties: 9999 } }, ['a']),
  ],
  [
    'unions of unions',
    closed({ a: nest(2, (inner) => ({ anyOf: range(20, () => inner) }), text) }),
    closed({ a: nest(2, (inner) => ({ anyOf: range(20, () => inner) }), { ...text, maxLength: 9 }) }),
  ],
  ['unions of references', bomb(9, (refs) => ({ anyOf: refs })), { ...bomb(9, (refs) => ({ anyOf: refs })), description: 'x', title: 'y' }],
  [
    'members of references',
    bomb(8, ([one, other]) => closed({ a: one, b: other })),
    bomb(8, ([one, other]) => closed({ a: one, b: other, c: int })),
  ],
  ['many values', closed(members(1, () => manyValues(0))), closed(members(1, () => manyValues(1)))],
  [
    'many places of many values',
    { ...closed(members(200, () => ({ $ref: '#/$defs/v' }))), $defs: { v: manyValues(0) } },
    { ...closed(members(200, () => ({ $ref: '#/$defs/v' }))), $defs: { v: manyValues(100) } },
  ],
  [
    'values against a union',
    closed({ a: { type: 'array', prefixItems: range(200, () => ({ type: 'boolean' })), items: false } }),
    closed({
      a: { type: 'array', items: { anyOf: range(20, (at) => ({ ...text, maxLength: 50, pattern: `^(a|b){0,5}${at}` })) }, maxItems: 200 },
    }),
  ],
  ['many branches', tagged(20, () => members(20, () => int)), tagged(20, () => members(20, () => ({ type: 'number', maximum: 1 })))],
  [
    'branches of branches',
    closed({ a: nest(3, (inner) => tagged(4, () => ({ inner })), text) }),
    closed({ a: nest(3, (inner) => tagged(4, () => ({ inner })), { ...text, maxLength: 3 }) }),
  ],
  [
    'another pattern',
    closed({ a: { ...text, maxLength: 150, pattern: '(a.{0,10}b.{0,10}){6}[xy]' } }),
    closed({ a: { ...text, maxLength: 150, pattern: '(a.{0,10}b.{0,10}){7}[xy]' } }),
  ],
  ['every member gone', closed(members(200, () => int)), closed({})],
  [
    'long names',
    closed(Object.fromEntries(range(5, (at) => [`${at}`.padEnd(6000, 'n'), int]))),
    closed(Object.fromEntries(range(5, (at) => [`${at}`.padEnd(6000, 'n'), { type: 'boolean' }]))),
  ],
]

/** Contracts that are accepted, and data that take long to check against them. */
export const hostileDocuments = (): [what: string, data: Schema, document: unknown][] => [
  [
    'many numbers',
    closed({ a: { type: 'array', items: { type: 'integer', minimum: 0, maximum: 9, multipleOf: 1 }, maxItems: 1e6 } }),
    { a: range(400_000, () => 3) },
  ],
  [
    'many fractions',
    closed({ a: { type: 'array', items: { type: 'number', multipleOf: 1e-7 }, maxItems: 1e6 } }),
    { a: range(150_000, () => 1e300) },
  ],
  [
    'many times',
    closed({ a: { type: 'array', items: { type: 'string', format: 'date-time' }, maxItems: 1e6 } }),
    { a: range(40_000, () => '2026-01-31T09:00:00Z') },
  ],
  [
    'much that is missing, in every branch',
    closed({
      a: {
        type: 'array',
        items: {
          anyOf: [
            closed(
              members(200, () => int),
              range(200, (at) => `k${at}`),
            ),
            closed({}),
          ],
        },
        maxItems: 1e6,
      },
    }),
    { a: range(250_000, () => ({})) },
  ],
  ['branches that nearly fit', bomb(9, (refs) => ({ anyOf: refs })), { a: 'x' }],
  [
    'a pattern that takes long',
    closed({ a: { type: 'array', items: { ...text, maxLength: 200, pattern: '(a.{0,10}b.{0,10}){6}[xy]' }, maxItems: 1e6 } }),
    { a: range(4000, (at) => `${at}`.padEnd(200, 'abba')) },
  ],
  [
    'a pattern without end',
    closed({ a: { type: 'array', items: { ...text, pattern: '[ab]*a[ab]{16}[xy]' }, maxItems: 1e6 } }),
    { a: range(200, (at) => `${at}`.padEnd(4000, 'abbaab')) },
  ],
  [
    'entries that are all but the same',
    closed({ a: { type: 'array', items: { type: 'array', items: int, maxItems: 500 }, maxItems: 1000, uniqueItems: true } }),
    { a: range(1000, (at) => range(480, (place) => (place === 0 ? at : 0))) },
  ],
  [
    'one long name',
    closed({
      a: { type: 'object', additionalProperties: { anyOf: range(20, () => ({ anyOf: range(20, () => int) })) }, maxProperties: 10_000 },
    }),
    { a: { ['n'.repeat(900_000)]: 'x' } },
  ],
  [
    'many members, in every branch',
    closed({ a: { anyOf: range(20, () => ({ type: 'object', additionalProperties: int, maxProperties: 10_000 })) } }),
    { a: members(10_000, () => 'x') },
  ],
]
