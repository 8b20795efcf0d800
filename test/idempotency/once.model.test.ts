// IDK-15: idempotency as a model: whatever is sent, removed and forgotten in whatever order, one key makes one job.

import fc from 'fast-check'
import t from 'tap'
import { buildTestApp } from '../helpers/build-test-app.js'

interface Model {
  /** Key → payload and job id, as long as the key is remembered. */
  readonly keys: Map<string, { payload: string; id: string }>
  readonly ids: Set<string>
}

t.test('IDK-15 the model holds', async (t) => {
  const test = await buildTestApp(t, { env: { WORKERS_ENABLED: 'false' } })
  const { redis, queueKeys, keys } = test.services
  const queue = queueKeys['external-api']
  const anyKey = fc.constantFrom('a', 'b', 'c')
  const anyPayload = fc.constantFrom('x', 'y')

  const send = (key: string, label: string) => test.submit({ type: 'echo', data: { label } }, { 'idempotency-key': key })
  const claims = async () => redis.request.keys(`${keys.prefix}:gate:idem:*`)

  const commands = [
    fc.tuple(anyKey, anyPayload).map(([key, payload]) => ({
      name: `send ${key} ${payload}`,
      async run(model: Model) {
        const answer = await send(key, payload)
        const known = model.keys.get(key)
        if (known && known.payload !== payload) {
          if (answer.statusCode !== 422) throw new Error(`expected 422, got ${answer.statusCode}`)
          return
        }
        const { id } = answer.json()
        if (answer.statusCode !== 202) throw new Error(`expected 202, got ${answer.statusCode}`)
        if (known && (id !== known.id || !answer.headers['idempotent-replayed'])) throw new Error('expected the same job again')
        if (!known && (model.ids.has(id) || answer.headers['idempotent-replayed'])) throw new Error('expected a new job')
        model.keys.set(key, { payload, id })
        model.ids.add(id)
      },
    })),
    fc.tuple(anyKey, anyPayload).map(([key, payload]) => ({
      name: `send ${key} ${payload} five times at once`,
      async run(model: Model) {
        const answers = await Promise.all(Array.from({ length: 5 }, () => send(key, payload)))
        const known = model.keys.get(key)
        if (known && known.payload !== payload) {
          if (answers.some(({ statusCode }) => statusCode !== 422)) throw new Error('expected 422 from all')
          return
        }
        const ids = new Set(answers.map((answer) => answer.json().id))
        if (ids.size !== 1) throw new Error('expected one job')
        const [id] = [...ids]
        if (known && known.id !== id) throw new Error('expected the same job again')
        model.keys.set(key, { payload, id })
        model.ids.add(id)
      },
    })),
    anyKey.map((key) => ({
      name: `remove the job of ${key}`,
      async run(model: Model) {
        const known = model.keys.get(key)
        if (!known) return
        await redis.request.del(queue.job(known.id))
        await redis.request.zrem(queue.prioritized, known.id)
      },
    })),
    fc.constant({
      name: 'forget all keys',
      async run(model: Model) {
        const all = await claims()
        if (all.length > 0) await redis.request.del(...all)
        model.keys.clear()
      },
    }),
  ]

  await fc.assert(
    fc.asyncProperty(fc.array(fc.oneof(...commands), { maxLength: 25 }), async (steps) => {
      const left = await claims()
      if (left.length > 0) await redis.request.del(...left)
      const model: Model = { keys: new Map(), ids: new Set() }
      for (const step of steps) await step.run(model)
    }),
    { numRuns: 25 },
  )
  t.pass('no counterexample')
})
