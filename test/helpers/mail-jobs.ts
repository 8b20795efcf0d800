// What every e-mail job type has to do, tried out against a real mail server with an attempt marker in memory.

import type { TSchema } from '@sinclair/typebox'
import { Ajv } from 'ajv'
import type { Test } from 'tap'
import type { BuiltinContext } from '../../src/builtin/define.js'
import type { AttemptMarker, JobOutcome, RunnableJobType } from '../../src/types/definition.js'
import { eventually } from './eventually.js'
import { openMail } from './open-mail.js'
import { type Script, startSmtpReceiver } from './smtp-receiver.js'

type MarkerState = Awaited<ReturnType<AttemptMarker['read']>>

/** An attempt marker as a worker keeps it, and what was done to it. */
export const createMarker = (state: MarkerState = { state: 'none' }) => {
  const calls: string[] = []
  const marker: AttemptMarker = {
    read: async () => state,
    async begin() {
      calls.push('begin')
      state = { state: 'begun' }
    },
    async done(result) {
      calls.push('done')
      state = { state: 'done', result }
    },
    async clear() {
      calls.push('clear')
      state = { state: 'none' }
    },
  }
  return { marker, calls, state: () => state.state }
}

export const jobId = 'mail_3q2AMb1cT7mR0wZk9vYxFg'
export const createdAt = Date.parse('2026-11-24T10:00:00.250Z')

/** Validates as the HTTP side does: nothing stripped, nothing coerced. */
export const createValidator = (schema: TSchema) => {
  const validate = new Ajv({ strict: false, formats: { 'date-time': true } }).compile(schema)
  return (value: unknown): boolean => validate(value) === true
}

/** A mail server that follows the script, and a way to run attempts of a job type against it. */
export const startMailWorld = async (t: Test, type: RunnableJobType, script: Script = {}, env: Record<string, string> = {}) => {
  const receiver = await startSmtpReceiver(script)
  const mail = await openMail(receiver.url, env)
  t.after(async () => {
    await mail.close()
    await receiver.close()
  })
  const run = async (
    data: unknown,
    {
      marker = createMarker().marker,
      signal = new AbortController().signal,
      isExpired = false,
    }: { marker?: AttemptMarker; signal?: AbortSignal; isExpired?: boolean } = {},
  ): Promise<JobOutcome> => {
    const context: BuiltinContext<'smtp'> = {
      jobId,
      createdAt,
      attempt: 1,
      maxAttempts: 3,
      isExpired,
      signal,
      log: () => {},
      progress: async () => {},
      marker,
      integrations: { smtp: mail.smtp },
    } as BuiltinContext<'smtp'>
    return type.run(data, context)
  }
  return { receiver, config: mail.config, lines: mail.lines, run }
}

/** The cases that are the same for all; `secrets` must not be in anything but the message itself. */
export const testMailJob = (t: Test, type: RunnableJobType, data: { to: string }, secrets: readonly string[]): void => {
  const isResult = createValidator(type.result)
  const tellsNothing = (t: Test, told: unknown) => {
    for (const secret of [...secrets, data.to]) t.notOk(JSON.stringify(told).includes(secret), 'no secret, no address')
  }

  t.test('its example is valid', async (t) => {
    t.ok(createValidator(type.data)(type.example))
    t.match(type.name, /^send-/)
  })

  t.test('success', async (t) => {
    const { receiver, run, lines } = await startMailWorld(t, type)
    const { marker, calls } = createMarker()
    const outcome = await run(data, { marker })
    t.match(outcome, { kind: 'done', result: { accepted: true, responseCode: 250, alreadySent: false } })
    t.ok(isResult((outcome as { result: unknown }).result), 'the result fits its schema')
    t.same(calls, ['begin', 'done'])
    t.equal(receiver.received.length, 1)
    const [received] = receiver.received
    t.same(received?.to, [data.to])
    t.equal(received?.mail.messageId, (outcome as { result: { messageId: string } }).result.messageId)
    for (const secret of secrets) t.ok(received?.mail.text?.includes(secret), 'the reader gets it')
    tellsNothing(t, [outcome, lines])
  })

  t.test('permanent failure: the recipient is refused', async (t) => {
    const { receiver, run, lines } = await startMailWorld(t, type, { recipient: () => ({ code: 550, text: data.to }) })
    const { marker, calls } = createMarker()
    const outcome = await run(data, { marker })
    t.match(outcome, { kind: 'fail', code: 'smtp.recipient_refused' })
    t.same(calls, ['begin', 'clear'], 'a later attempt starts afresh')
    t.equal(receiver.received.length, 0)
    tellsNothing(t, [outcome, lines])
  })

  t.test('retry: greylisted once, then taken', async (t) => {
    const { receiver, run } = await startMailWorld(t, type, { recipient: (_to, count) => (count === 1 ? { code: 451 } : undefined) })
    const { marker } = createMarker()
    const first = await run(data, { marker })
    t.match(first, { kind: 'retry', code: 'smtp.deferred' })
    t.match(await run(data, { marker }), { kind: 'done', result: { alreadySent: false } })
    t.equal(receiver.received.length, 1)
    tellsNothing(t, first)
  })

  t.test('retry: cut off after the message, sent again under the same Message-ID', async (t) => {
    const { receiver, run } = await startMailWorld(t, type, { message: (count) => (count === 1 ? 'drop' : undefined) })
    const { marker, calls } = createMarker()
    t.match(await run(data, { marker }), { kind: 'retry', code: 'smtp.outcome_unknown' })
    t.same(calls, ['begin'], 'what is open stays open')
    t.match(await run(data, { marker }), { kind: 'done', result: { alreadySent: false } })
    t.equal(receiver.received.length, 2)
    t.equal(receiver.received[0]?.mail.messageId, receiver.received[1]?.mail.messageId)
  })

  t.test('EMAIL_ON_AMBIGUOUS=fail: cut off after the message, it ends', async (t) => {
    const { receiver, run } = await startMailWorld(t, type, { message: () => 'drop' }, { EMAIL_ON_AMBIGUOUS: 'fail' })
    const { marker } = createMarker()
    t.match(await run(data, { marker }), { kind: 'fail', code: 'smtp.outcome_unknown' })
    t.match(await run(data, { marker }), { kind: 'fail', code: 'smtp.outcome_unknown' }, 'and keeps ended when tried by hand')
    t.equal(receiver.received.length, 1)
  })

  t.test('abort: stopped before the message was handed over', async (t) => {
    const { receiver, run } = await startMailWorld(t, type, { recipient: () => 'silent' })
    const { marker, state } = createMarker()
    const stop = new AbortController()
    const running = run(data, { marker, signal: stop.signal })
    await eventually('the recipient was named', () => receiver.attempts(data.to) === 1)
    t.equal(state(), 'begun', 'marked before the server hears of the message')
    stop.abort()
    t.match(await running, { kind: 'retry', code: 'smtp.interrupted' })
    t.equal(state(), 'none')
    t.equal(receiver.received.length, 0)
  })

  t.test('marker done: nothing is sent again', async (t) => {
    const { receiver, run } = await startMailWorld(t, type)
    const { marker } = createMarker()
    const first = (await run(data, { marker })) as { result: object }
    const second = (await run(data, { marker })) as { result: object }
    t.same(second, { kind: 'done', result: { ...first.result, alreadySent: true } })
    t.ok(isResult(second.result))
    t.equal(receiver.received.length, 1)
  })

  t.test('marker begun, by an attempt that was cut off', async (t) => {
    t.test('sends again by default', async (t) => {
      const { receiver, run } = await startMailWorld(t, type)
      const { marker, calls } = createMarker({ state: 'begun' })
      t.match(await run(data, { marker }), { kind: 'done', result: { alreadySent: false } })
      t.same(calls, ['done'])
      t.equal(receiver.received.length, 1)
    })

    t.test('a refusal of this attempt does not settle what the earlier one did', async (t) => {
      const { run } = await startMailWorld(t, type, { recipient: () => ({ code: 451 }) })
      const { marker, state } = createMarker({ state: 'begun' })
      t.match(await run(data, { marker }), { kind: 'retry', code: 'smtp.deferred' })
      t.equal(state(), 'begun')
    })

    t.test('stops when its time is over', async (t) => {
      const { receiver, run } = await startMailWorld(t, type)
      const { marker } = createMarker({ state: 'begun' })
      t.match(await run(data, { marker, isExpired: true }), { kind: 'fail', code: 'smtp.outcome_unknown' })
      t.equal(receiver.connections(), 0)
    })

    t.test('stops with EMAIL_ON_AMBIGUOUS=fail', async (t) => {
      const { receiver, run } = await startMailWorld(t, type, {}, { EMAIL_ON_AMBIGUOUS: 'fail' })
      const { marker } = createMarker({ state: 'begun' })
      t.match(await run(data, { marker }), { kind: 'fail', code: 'smtp.outcome_unknown' })
      t.equal(receiver.connections(), 0)
    })
  })
}
