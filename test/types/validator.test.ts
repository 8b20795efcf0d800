import { Type } from '@sinclair/typebox'
import t from 'tap'
import { isDateTime, validatorCompilers } from '../../src/types/validator.js'

const Cat = {
  $id: 'Cat',
  type: 'object',
  required: ['type', 'lives'],
  additionalProperties: false,
  properties: { type: { const: 'cat' }, lives: { type: 'integer' } },
}
const Dog = {
  $id: 'Dog',
  type: 'object',
  required: ['type', 'name'],
  additionalProperties: false,
  properties: { type: { const: 'dog' }, name: { type: 'string', 'x-sensitive': true } },
}
const Pet = { type: 'object', required: ['type'], discriminator: { propertyName: 'type' }, oneOf: [{ $ref: 'Cat#' }, { $ref: 'Dog#' }] }

const compile = validatorCompilers({ Cat, Dog })
const paths = (validate: { errors?: unknown }) =>
  (validate.errors as { instancePath: string; keyword: string }[]).map(({ instancePath, keyword }) => `${instancePath} ${keyword}`)

t.test('OAS-4 bodies are neither coerced, stripped nor filled in', async (t) => {
  const validate = compile({
    httpPart: 'body',
    schema: Type.Object({ count: Type.Integer(), mode: Type.Optional(Type.String({ default: 'a' })) }, { additionalProperties: false }),
  })
  t.equal(validate({ count: '1' }), false)
  t.equal(validate({ count: 1, other: 2 }), false)
  const body = { count: 1 }
  t.equal(validate(body), true)
  t.same(body, { count: 1 })
  t.equal(validate.errors, null, 'no fault of an earlier body is left')
})

t.test('OAS-4 query, path and header values are converted', async (t) => {
  for (const httpPart of ['querystring', 'params', 'headers']) {
    const validate = compile({ httpPart, schema: Type.Object({ limit: Type.Integer({ default: 50 }) }) })
    const given = { limit: '5' } as Record<string, unknown>
    t.equal(validate(given), true, httpPart)
    t.equal(given['limit'], 5, httpPart)
    const empty = {} as Record<string, unknown>
    validate(empty)
    t.equal(empty['limit'], 50, `${httpPart} default`)
    t.equal(validate({ limit: 'many' }), false, httpPart)
  }
  const headers = compile({ httpPart: 'headers', schema: Type.Object({ 'Idempotency-Key': Type.String() }) })
  t.equal(headers({ 'idempotency-key': 'a' }), true, 'names are compared in lower case')
  t.equal(headers({}), false)
})

t.test('OAS-4 a number that is too large for a number is within no bounds', async (t) => {
  const validate = compile({ httpPart: 'querystring', schema: Type.Object({ limit: Type.Integer({ minimum: 1, maximum: 200 }) }) })
  for (const limit of ['1e999', '-1e999', 'Infinity', '-Infinity', '9'.repeat(400)]) {
    t.equal(validate({ limit }), false, limit.slice(0, 10))
    t.same(paths(validate), ['/limit type'])
  }
  t.equal(validate({ limit: '200' }), true)
  t.notOk(validate.errors)
})

t.test('OAS-4 a discriminator names the one branch', async (t) => {
  const validate = compile({ httpPart: 'body', schema: Pet })
  t.equal(validate({ type: 'cat', lives: 9 }), true)
  t.equal(validate({ type: 'cat', name: 'x' }), false)
  t.same(paths(validate).sort(), [' additionalProperties', ' required'])
  t.equal(validate({ type: 'cow' }), false)
  t.same(paths(validate), [' discriminator'])
})

t.test('a small body has all its faults collected, a large one the first', async (t) => {
  const validate = compile({ httpPart: 'body', schema: Type.Array(Type.Object({ a: Type.String(), b: Type.String() })) })
  t.equal(validate([{}, {}]), false)
  t.equal((validate.errors as unknown[]).length, 4)
  t.equal(validate(Array.from({ length: 300_000 }, () => ({}))), false)
  t.equal((validate.errors as unknown[]).length, 1)
})

t.test('without a part, as for NDJSON lines, a body is assumed', async (t) => {
  const validate = compile({ schema: Type.Object({ count: Type.Integer() }) })
  t.equal(validate({ count: '1' }), false)
})

t.test('date-time is strict RFC 3339', async (t) => {
  for (const text of [
    '2026-12-01T09:00:00Z',
    '2026-12-01T09:00:00.123456789Z',
    '2024-02-29T23:59:59+08:00',
    '2000-02-29T00:00:00-00:00',
    '0001-01-01T00:00:00Z',
  ]) {
    t.equal(isDateTime(text), true, text)
    t.equal(Number.isNaN(Date.parse(text)), false, `${text} can be read`)
  }
  const refused = [
    '',
    '2026-12-01',
    '2026-12-01 09:00:00Z',
    '2026-12-01t09:00:00z',
    '2026-12-01T09:00Z',
    '2026-12-01T09:00:00',
    '2026-02-29T00:00:00Z',
    '1900-02-29T00:00:00Z',
    '2026-13-01T00:00:00Z',
    '2026-00-10T00:00:00Z',
    '2026-01-00T00:00:00Z',
    '2026-01-01T24:00:00Z',
    '2026-01-01T23:59:60Z',
    '2026-01-01T00:00:00+24:00',
    '2026-01-01T00:00:00+0800',
    '2026-01-01T00:00:00.Z',
    '2026-01-01T00:00:00Z\n',
  ]
  for (const text of refused) t.equal(isDateTime(text), false, JSON.stringify(text))
  const validate = compile({ httpPart: 'body', schema: { type: 'string', format: 'date-time' } })
  t.equal(validate('2026-02-30T00:00:00Z'), false, 'the format is the one validators use')
})
