// Cancel, retry and promote over a connection that breaks: Redis has done it, the reply is lost, the command is sent again.

import t from 'tap'
import { buildTestApp } from '../helpers/build-test-app.js'
import { eventually } from '../helpers/eventually.js'
import { startRedisProxy } from '../helpers/redis-proxy.js'

t.test('what arrives once more is answered as it was at first', async (t) => {
  const test = await buildTestApp(t, { env: { WORKERS_ENABLED: 'false' } })
  const proxy = await startRedisProxy(t, { target: { path: test.services.redis.socketPath as string } })
  const far = await buildTestApp(t, { beside: test, env: { WORKERS_ENABLED: 'false', REDIS_URL: `redis://127.0.0.1:${proxy.port}` } })
  const { control } = far.services
  const { request: redis } = test.services.redis
  const queue = test.services.queueKeys['external-api']
  const submit = async (): Promise<string> =>
    (await test.submit({ type: 'echo', data: { label: 'acted on' }, options: { delayMs: 3_600_000 } })).json().id
  const cancelled = async () => {
    const id = await submit()
    await test.services.control.cancel('external-api', id)
    return id
  }
  const keep = (id: string) => ({ digest: id, fingerprint: 'f'.repeat(43), ttlMs: 60_000, answer: '{}' })

  const acts = {
    cancel: {
      prepare: submit,
      act: (id: string) => control.cancel('external-api', id),
      isDone: async (id: string) => (await redis.zscore(queue.failed, id)) !== null,
      first: 'cancelled',
      another: 'finished',
    },
    retry: {
      prepare: cancelled,
      act: (id: string) => control.retry('external-api', id),
      isDone: async (id: string) => (await redis.zscore(queue.prioritized, id)) !== null,
      first: { kind: 'retried' },
      another: { kind: 'conflict' },
    },
    'retry under a key': {
      prepare: cancelled,
      act: (id: string) => control.retry('external-api', id, keep(id)),
      isDone: async (id: string) => (await redis.zscore(queue.prioritized, id)) !== null,
      first: { kind: 'retried' },
      another: { kind: 'replayed', answer: '{}' },
    },
    promote: {
      prepare: submit,
      act: (id: string) => control.promote('external-api', id),
      isDone: async (id: string) => (await redis.zscore(queue.prioritized, id)) !== null,
      first: 'promoted',
      another: 'conflict',
    },
  }
  for (const [name, { prepare, act, isDone, first, another }] of Object.entries(acts)) {
    await t.test(name, async (t) => {
      // The connection brings the script.
      t.same(await act(await prepare()), first)
      const id = await prepare()
      proxy.swallowReplies(true)
      const answer = act(id)
      await eventually('Redis has done it', () => isDone(id))
      proxy.swallowReplies(false)
      proxy.cut()
      t.same(await answer, first)
      t.same(await act(id), another, 'another call is told how it is now')
    })
  }
})
t.end()
