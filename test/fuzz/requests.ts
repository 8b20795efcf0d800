// Requests for one operation: what is sent is settled only when it is sent, since it may name objects that exist by then.

import fc from 'fast-check'
import type { Body, Operation, Parameter } from './document.js'
import { broken, fitting, hostileBody, hostileTexts } from './values.js'

/** Who calls; what each may do stands in `world.ts`. */
export const callers = [
  'admin',
  'client',
  'submit',
  'read',
  'manage',
  'work',
  'types',
  'queues',
  'other',
  'expired',
  'revoked',
  'forged',
  'garbage',
  'none',
] as const
export type Caller = (typeof callers)[number]

/** A text, or one of what exists: of jobs, schedules, operations, keys, cursors. */
export type Choice = { readonly pool: number } | { readonly text: string } | { readonly raw: string }

export interface Plan {
  /** Valid ones may still be refused by rules that no schema can state. */
  readonly flavor: 'valid' | 'broken' | 'hostile'
  readonly caller: Caller
  /** In place of the operation's own. */
  readonly method: string | null
  /** By name of the parameter. */
  readonly path: Readonly<Record<string, Choice>>
  readonly query: readonly (readonly [name: string, value: Choice])[]
  readonly headers: readonly (readonly [name: string, value: string])[]
  readonly body: { readonly mediaType: string | null; readonly bytes: Buffer; readonly isChunked: boolean } | null
}

const text = (value: string): Choice => ({ text: value })
const pooled = fc.nat(1000).map((pool): Choice => ({ pool }))
/** Bytes of a header: everything but the line ends and NUL, which end it. */
const headerBytes = fc
  .string({ unit: fc.integer({ min: 1, max: 255 }).map((code) => String.fromCharCode(code)), maxLength: 60 })
  .map((value) => value.replace(/[\r\n]/g, ''))
const headerTexts: readonly string[] = hostileTexts.map((value) =>
  Buffer.from(value)
    .toString('latin1')
    .replace(/[\r\n\0]/g, ''),
)

/** Values that the schema allows in words, but only the code reads. */
const knownHeaders: Readonly<Record<string, readonly string[]>> = {
  'Idempotency-Key': [
    '"a"',
    'b',
    '"8e03978e-40d5-43dd-bc93-6894a57f9324"',
    '"a";x=1',
    '"',
    '""',
    '"a", "b"',
    '  "c"  ',
    'ü',
    '"\\"',
    `"${'x'.repeat(255)}"`,
    `"${'x'.repeat(256)}"`,
  ],
  Prefer: [
    'wait=0',
    'wait=1',
    'respond-async',
    'wait=1, respond-async',
    'wait=-1',
    'wait=1e9',
    'wait=99999999999999999999',
    'wait="1"',
    'return=minimal',
    ',,;',
    'wait',
  ],
  'If-None-Match': ['*', '"x"', 'W/"x"', '"a", "b"', ',', '"'],
  'Last-Event-ID': ['', '0-0', '1-1', '99999999999999-0', '18446744073709551615-18446744073709551615', '-', 'x'],
}

const oddHeaders: readonly (readonly [string, string])[] = [
  ['Accept', '*/*'],
  ['Accept', 'text/html'],
  ['Accept', 'application/x-ndjson'],
  ['Accept', 'text/event-stream'],
  ['Accept', 'application/json;q=0, */*;q=0'],
  ['Accept', 'x'.repeat(4000)],
  ['Accept-Encoding', 'gzip, br'],
  ['Content-Encoding', 'gzip'],
  ['Content-Encoding', 'identity'],
  ['Expect', '100-continue'],
  ['Expect', 'something-else'],
  ['X-Request-Id', 'mine'],
  ['X-Request-Id', 'x'.repeat(500)],
  ['X-Forwarded-For', '10.0.0.1, unknown, "'],
  ['X-Forwarded-Host', 'example.com'],
  ['X-HTTP-Method-Override', 'DELETE'],
  ['traceparent', '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01'],
  ['traceparent', '00-zz'],
  ['tracestate', 'a=1,b=,=c'],
  ['Cookie', 'jobgate_board=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA'],
  ['Cookie', ';;=;'],
  ['Origin', 'https://evil.example'],
  ['Range', 'bytes=0-1'],
  ['If-Match', '"x"'],
  ['If-Modified-Since', 'Tue, 01 Dec 2026 00:00:00 GMT'],
  ['Upgrade', 'websocket'],
  ['X-Large', 'x'.repeat(7000)],
  ['X-Larger', 'x'.repeat(17_000)],
  ['Host', 'evil.example'],
  ['Host', ''],
  ['Authorization', 'Basic YTpi'],
  ['Content-Type', 'text/plain'],
  ['Idempotency-Key', '"twice"'],
]

const mediaTypes: readonly (string | null)[] = [
  null,
  '',
  'application/json; charset=utf-8',
  'Application/JSON',
  'application/json; charset=utf-16',
  'application/json; charset=latin1',
  'application/json;',
  'application/json; x="y"',
  'application/json, text/plain',
  'application/x-ndjson',
  'application/x-www-form-urlencoded',
  'multipart/form-data; boundary=x',
  'multipart/form-data',
  'text/plain',
  'text/html',
  'application/xml',
  'application/vnd.api+json',
  'application/octet-stream',
  '/',
  'json',
  '\u00ff/\u00ff',
  `a/${'b'.repeat(2000)}`,
]

const otherMethods = ['HEAD', 'OPTIONS', 'PATCH', 'PUT', 'POST', 'GET', 'DELETE', 'TRACE', 'QUERY', 'PROPFIND', 'NONSENSE', 'get']

const rawTexts: readonly string[] = [
  '%',
  '%zz',
  '%00',
  '%ff',
  '%2e%2e',
  '..',
  '.',
  '%2F',
  '/',
  '//',
  ';a=b',
  '%0d%0aX: y',
  '*',
  '{id}',
  '%F0%9F%92%A9',
  'a%20b',
  '\u00ff',
  '+',
]

/** Values of a parameter in the path that a handler understands. */
const toPathValue = ({ schema }: Parameter): fc.Arbitrary<Choice> =>
  fc.oneof({ arbitrary: pooled, weight: 9 }, { arbitrary: fitting(schema).map((value) => text(String(value))), weight: 1 })

const hostilePath: fc.Arbitrary<Choice> = fc.oneof(
  { arbitrary: fc.constantFrom(...hostileTexts).map(text), weight: 3 },
  { arbitrary: fc.constantFrom(...rawTexts).map((raw): Choice => ({ raw })), weight: 3 },
  { arbitrary: fc.string({ unit: 'binary', maxLength: 40 }).map(text), weight: 1 },
  { arbitrary: fc.constantFrom(511, 512, 513, 5000).map((length) => text('a'.repeat(length))), weight: 1 },
  { arbitrary: pooled, weight: 4 },
)

const hostileQuery: fc.Arbitrary<Choice> = fc.oneof(
  fc.constantFrom(...hostileTexts).map(text),
  fc.constantFrom(...rawTexts).map((raw): Choice => ({ raw })),
  fc.string({ unit: 'binary', maxLength: 40 }).map(text),
)

type Entry = readonly [name: string, value: Choice]

const present = <T>(arbitrary: fc.Arbitrary<T>, percent: number): fc.Arbitrary<T | null> =>
  fc.oneof({ arbitrary, weight: percent }, { arbitrary: fc.constant(null), weight: 100 - percent })

const listed = <T>(arbitraries: readonly fc.Arbitrary<T | null>[]): fc.Arbitrary<T[]> =>
  fc.tuple(...arbitraries).map((values) => values.filter((value) => value !== null) as T[])

const toQueryEntry = ({ name, schema, required }: Parameter): fc.Arbitrary<Entry | null> => {
  const value =
    name === 'cursor'
      ? fc.oneof(
          pooled,
          pooled,
          fitting(schema).map((each) => text(String(each))),
        )
      : fitting(schema).map((each) => text(String(each)))
  return present(
    value.map((each): Entry => [name, each]),
    required ? 100 : 40,
  )
}

const toHeaderEntry = ({ name }: Parameter, percent: number): fc.Arbitrary<readonly [string, string] | null> => {
  const known = knownHeaders[name]
  const value = known ? fc.constantFrom(...known) : fc.string({ maxLength: 40 })
  return present(
    value.map((each) => [name, each] as const),
    percent,
  )
}

const ofCallers = (all: Readonly<Partial<Record<Caller, number>>>): fc.Arbitrary<Caller> =>
  fc.oneof(...Object.entries(all).map(([caller, weight]) => ({ arbitrary: fc.constant(caller as Caller), weight })))

/** Those who may do everything mostly, so that what lies behind the guards is reached. */
const likelyCallers = ofCallers({
  admin: 70,
  client: 10,
  types: 2,
  queues: 2,
  other: 4,
  submit: 2,
  read: 2,
  manage: 2,
  work: 1,
  expired: 1,
  revoked: 1,
  forged: 1,
  garbage: 1,
  none: 1,
})
const anyCaller = fc.constantFrom(...callers)

const toNdjson = (lines: readonly Buffer[]): Buffer => Buffer.concat(lines.flatMap((line) => [line, Buffer.from('\n')]))

const toBody = (body: Body, bytes: fc.Arbitrary<Buffer>): fc.Arbitrary<Plan['body']> =>
  fc.record({
    mediaType: fc.constant(body.mediaType),
    bytes: body.mediaType === 'application/x-ndjson' ? fc.array(bytes, { maxLength: 6 }).map(toNdjson) : bytes,
    isChunked: fc.integer({ min: 0, max: 9 }).map((draw) => draw === 0),
  })

const toJson = (value: unknown): Buffer => Buffer.from(JSON.stringify(value) ?? '')

/** Examples often: most of what follows a schema only fails deep inside. */
const bodyValueOf = ({ schema, examples }: Body): fc.Arbitrary<unknown> =>
  examples.length === 0
    ? fitting(schema)
    : fc.oneof({ arbitrary: fitting(schema), weight: 2 }, { arbitrary: fc.constantFrom(...examples), weight: 1 })

const bodiesOf = ({ bodies }: Operation, bytesOf: (body: Body) => fc.Arbitrary<Buffer>): fc.Arbitrary<Plan['body']> =>
  bodies.length === 0 ? fc.constant(null) : fc.oneof(...bodies.map((body) => toBody(body, bytesOf(body))))

const parametersOf = ({ parameters }: Operation, place: Parameter['in']): readonly Parameter[] =>
  parameters.filter((each) => each.in === place)

const pathOf = (operation: Operation, toValue: (parameter: Parameter) => fc.Arbitrary<Choice>): fc.Arbitrary<Plan['path']> =>
  fc.record(Object.fromEntries(parametersOf(operation, 'path').map((each) => [each.name, toValue(each)])))

const queryOf = (operation: Operation) => listed(parametersOf(operation, 'query').map(toQueryEntry))
const headersOf = (operation: Operation, percent: number) =>
  listed(parametersOf(operation, 'header').map((each) => toHeaderEntry(each, percent)))

const valid = (operation: Operation): fc.Arbitrary<Plan> =>
  fc.record({
    flavor: fc.constant('valid' as const),
    caller: likelyCallers,
    method: fc.constant(null),
    path: pathOf(operation, toPathValue),
    query: queryOf(operation),
    headers: headersOf(operation, 20),
    body: bodiesOf(operation, (body) => bodyValueOf(body).map(toJson)),
  })

/** Everything fits but one: a member of the body, where there is one, else a parameter. */
const nearlyValid = (operation: Operation): fc.Arbitrary<Plan> => {
  const bodies = bodiesOf(operation, (body) => broken(bodyValueOf(body)).map(toJson))
  const unknown = fc.tuple(fc.constantFrom('unknown', '__proto__', 'limit', 'cursor', 'dryRun', 'preview', 'a[b]', ''), hostileQuery)
  const query = fc.tuple(queryOf(operation), unknown).map(([entries, odd]): Entry[] => [...entries, odd])
  return fc.oneof(
    fc.tuple(valid(operation), bodies).map(([plan, body]): Plan => ({ ...plan, flavor: 'broken', body })),
    fc
      .tuple(valid(operation), operation.bodies.length > 0 ? queryOf(operation) : query)
      .map(([plan, entries]): Plan => ({ ...plan, flavor: 'broken', query: entries })),
    fc.tuple(valid(operation), query).map(([plan, entries]): Plan => ({ ...plan, flavor: 'broken', query: entries })),
  )
}

const hostileHeaders = fc.array(
  fc.oneof(
    { arbitrary: fc.constantFrom(...oddHeaders), weight: 6 },
    {
      arbitrary: fc.tuple(
        fc.constantFrom(...Object.keys(knownHeaders), 'X-Odd', 'timestamp', 'nonce', 'signature'),
        fc.oneof(headerBytes, fc.constantFrom(...headerTexts)),
      ),
      weight: 2,
    },
  ),
  { maxLength: 3 },
)

const strangeBody = (operation: Operation): fc.Arbitrary<Plan['body']> => {
  const [body] = operation.bodies
  const bytes = body
    ? hostileBody(bodyValueOf(body))
    : fc.constantFrom('{}', '[]', 'null', '{"dryRun":true}', 'x', '').map((each) => Buffer.from(each))
  const large = fc
    .constantFrom(300_000, 1_048_576, 1_048_577, 1_500_000)
    .map((length) => Buffer.from(`{"type":"${'x'.repeat(length - 11)}"}`))
  return fc.record({
    mediaType: fc.oneof(
      { arbitrary: fc.constantFrom(body?.mediaType ?? 'application/json', 'application/json'), weight: 3 },
      { arbitrary: fc.constantFrom(...mediaTypes), weight: 2 },
    ),
    bytes: fc.oneof({ arbitrary: bytes, weight: 60 }, { arbitrary: large, weight: 1 }),
    isChunked: fc.boolean(),
  })
}

const hostilePlan = (operation: Operation): fc.Arbitrary<Plan> =>
  fc.record({
    flavor: fc.constant('hostile' as const),
    caller: fc.oneof({ arbitrary: likelyCallers, weight: 3 }, { arbitrary: anyCaller, weight: 2 }),
    method: fc.oneof({ arbitrary: fc.constant(null), weight: 9 }, { arbitrary: fc.constantFrom(...otherMethods), weight: 1 }),
    path: pathOf(operation, () => hostilePath),
    query: fc.oneof(
      queryOf(operation),
      fc.array(
        fc.tuple(fc.constantFrom(...parametersOf(operation, 'query').map(({ name }) => name), 'x', '__proto__', 'a[]'), hostileQuery),
        { maxLength: 3 },
      ),
    ),
    headers: fc.tuple(headersOf(operation, 30), hostileHeaders).map(([known, odd]) => [...known, ...odd]),
    body: fc.oneof(
      { arbitrary: bodiesOf(operation, (each) => bodyValueOf(each).map(toJson)), weight: 1 },
      { arbitrary: strangeBody(operation), weight: 1 },
    ),
  })

/** Requests of all flavors. */
export const planFor = (operation: Operation): fc.Arbitrary<Plan> =>
  fc.oneof(
    { arbitrary: valid(operation), weight: 4 },
    { arbitrary: nearlyValid(operation), weight: 3 },
    { arbitrary: hostilePlan(operation), weight: 3 },
  )
