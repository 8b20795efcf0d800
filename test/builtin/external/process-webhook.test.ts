// process-webhook: verified and unverified events, and payloads of no known form.

import t from 'tap'
import { processWebhook } from '../../../src/builtin/external/process-webhook.js'
import { runAttempt, startStores } from '../../helpers/vendor-attempt.js'

const newStore = await startStores(t)
const run = (data: object, lines?: string[]) => runAttempt(processWebhook, data, { store: newStore(), integrations: {} }, lines)
const lark = {
  source: 'lark',
  eventId: 'e1',
  eventType: 'im.message',
  payload: { header: { event_type: 'im.message' }, event: { secret: 'payload words' } },
}
const tencent = { source: 'tencent-meeting', eventId: 'e2', eventType: 'meeting.started', payload: { event: 'meeting.started' } }

t.test('success: taken in, verified only with the internal mark', async (t) => {
  const lines: string[] = []
  t.match(await run({ ...lark, verified: true }, lines), {
    kind: 'done',
    result: { eventType: 'im.message', handled: false, verified: true, followUps: [] },
  })
  t.match(await run(lark, lines), { kind: 'done', result: { verified: false } })
  t.match(await run({ ...tencent, verified: true }), { kind: 'done', result: { verified: true } })
  t.match(await run({ source: 'other', eventId: 'e3', eventType: 'x', payload: {} }), { kind: 'done' })
  t.notMatch(lines.join(), /payload words/)
})

t.test('permanent failure: a payload of no known form', async (t) => {
  for (const data of [
    { ...lark, payload: {} },
    { ...lark, payload: { header: null } },
    { ...tencent, payload: { event: 'other' } },
  ]) {
    t.match(await run(data), { kind: 'fail', code: 'invalid_data' })
  }
})

t.test('an event that its payload contradicts is refused when it is submitted', async (t) => {
  const check = (payload: Record<string, unknown>) =>
    processWebhook.check?.({ source: 'lark', eventId: 'e', eventType: 'x', payload }, { now: Date.now(), config: {} as never })
  t.match(check({}), [{ pointer: '#/data/eventType' }])
  t.same(check({ header: { event_type: 'x' } }), [])
})

t.test('payloads are bounded in size and depth', async (t) => {
  const check = (payload: Record<string, unknown>) =>
    processWebhook.check?.({ ...tencent, source: 'other', payload }, {} as never).map(({ pointer }) => pointer)
  t.same(check({}), [])
  t.same(check({ text: 'x'.repeat(262_144) }), ['#/data/payload'])
  t.same(check(JSON.parse(`${'{"a":'.repeat(21)}1${'}'.repeat(21)}`)), ['#/data/payload'])
  t.same(check(JSON.parse(`${'{"a":'.repeat(20)}1${'}'.repeat(20)}`)), [])
})

// Ends the file, and with it the one Redis of all its tests.
t.end()
