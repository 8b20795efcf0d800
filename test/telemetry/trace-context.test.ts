import fc from 'fast-check'
import t from 'tap'
import { formatTraceparent, parseTraceparent, parseTracestate, toTraceContext } from '../../src/telemetry/trace-context.js'

const traceId = '4bf92f3577b34da6a3ce929d0e0e4736'
const spanId = '00f067aa0ba902b7'
const traceparent = `00-${traceId}-${spanId}-01`

t.test('TRC-1 reads what is valid', async (t) => {
  t.same(parseTraceparent(traceparent), { traceId, spanId, flags: '01' })
  t.same(parseTraceparent(` ${traceparent}\t`), { traceId, spanId, flags: '01' })
  t.same(
    parseTraceparent(`cc-${traceId}-${spanId}-ff-what-comes-later`),
    { traceId, spanId, flags: '01' },
    'of higher versions the first four fields',
  )
  t.same(parseTraceparent(`cc-${traceId}-${spanId}-02`), { traceId, spanId, flags: '00' })
})

t.test('TRC-1 ignores what is not, and tracestate with it', async (t) => {
  const invalid = [
    undefined,
    '',
    'x',
    traceparent.toUpperCase(),
    `ff-${traceId}-${spanId}-01`,
    `00-${'0'.repeat(32)}-${spanId}-01`,
    `00-${traceId}-${'0'.repeat(16)}-01`,
    `${traceparent}-more`,
    `cc-${traceId}-${spanId}-01more`,
    `${traceparent}, ${traceparent}`,
    `cc-${traceId}-${spanId}-01-${'x'.repeat(600)}`,
    traceparent.slice(0, -1),
  ]
  for (const header of invalid) {
    t.equal(parseTraceparent(header), null, String(header))
    const context = toTraceContext({ traceparent: header, tracestate: 'a=1' }, { trust: true })
    t.match(context, { traceId: /^[0-9a-f]{32}$/, spanId: /^[0-9a-f]{16}$/, parentSpanId: null, traceState: null, link: null })
  }
})

t.test('TRC-2 the trace goes on under a new span', async (t) => {
  const context = toTraceContext({ traceparent, tracestate: 'rojo=1,congo=2' }, { trust: true })
  t.match(context, { traceId, parentSpanId: spanId, flags: '01', traceState: 'rojo=1,congo=2', link: null })
  t.not(context.spanId, spanId)
  t.equal(formatTraceparent(context), `00-${traceId}-${context.spanId}-01`)
})

t.test('TRC-2 tracestate is kept in whole members', async (t) => {
  t.equal(parseTracestate(undefined), null)
  t.equal(parseTracestate(' a=1 ,\tb=2,, c@d=x y'), 'a=1,b=2,c@d=x y')
  t.equal(parseTracestate(['a=1', 'b=2']), 'a=1,b=2')
  for (const header of ['', ',', 'a', 'a=', '=1', 'A=1', 'a=1,a=2', 'a=1,b', 'a=ü', 'a=1=2', `${'k'.repeat(300)}=1`])
    t.equal(parseTracestate(header), null, header)
  const many = Array.from({ length: 40 }, (_, index) => `k${index}=v`)
  t.equal(parseTracestate(many.join(',')), many.slice(0, 32).join(','))
  const long = Array.from({ length: 4 }, (_, index) => `k${index}=${'v'.repeat(200)}`)
  t.equal(parseTracestate(long.join(',')), long.slice(0, 2).join(','))
  t.equal(parseTracestate(`k=${'v'.repeat(256)},${'l'.repeat(200)}=${'w'.repeat(52)}`)?.length, 512, '512 characters fit')
})

t.test('TRC-3 without trust a new trace begins, linked to the old one', async (t) => {
  const context = toTraceContext({ traceparent, tracestate: 'a=1' }, { trust: false })
  t.match(context, { parentSpanId: null, traceState: null, link: { traceId, spanId } })
  t.not(context.traceId, traceId)
})

t.test('TRC-1 nothing a client sends is an error, and what goes out is valid', async () => {
  fc.assert(
    fc.property(fc.string(), fc.string(), fc.boolean(), (one, other, trust) => {
      const context = toTraceContext({ traceparent: one, tracestate: other }, { trust })
      if (!parseTraceparent(formatTraceparent(context))) throw new Error('not valid')
    }),
  )
})
