// API keys on a real Redis: life of a key, the cache, and two instances that have to agree.

import { once } from 'node:events'
import { pino } from 'pino'
import t from 'tap'
import { createApiKeyRecords } from '../../src/auth/api-key-records.js'
import { openApiKeys } from '../../src/auth/api-keys.js'
import { firstPrincipal } from '../../src/auth/first-key.js'
import { toKeyId } from '../../src/auth/key-format.js'
import { openRedis, type RedisClient } from '../../src/redis/connect.js'
import { createKeys } from '../../src/redis/redis-keys.js'
import { eventually } from '../helpers/eventually.js'
import { startRedis } from '../helpers/start-redis.js'

const log = pino({ level: 'silent' })
const { redis, settings, socketPath } = await startRedis(t)
const keys = createKeys(settings.prefix)
const watcher = redis.connect('worker')
const firstKey = 'operator-made-key'

const subscribers = async () => Number(((await watcher.pubsub('NUMSUB', keys.apiKeysChanged)) as [string, number])[1])
/** Reads of records since the server started. */
const reads = async () => Number(/cmdstat_hget:calls=(\d+)/.exec(await watcher.info('commandstats'))?.[1] ?? 0)

/** One gateway's view: connections of its own, clocks that stand still until moved. */
const openInstance = async (t: { after(handler: () => unknown): void }) => {
  const own = await openRedis({ settings: { ...settings, target: { kind: 'url', url: `unix://${socketPath}` } }, log })
  const clock = { now: Date.now(), elapsed: 0 }
  const before = await subscribers()
  const events = own.connect('events')
  const request = own.request
  await eventually('the request connection is ready', () => request.status === 'ready')
  const apiKeys = openApiKeys({
    redis: request,
    events,
    keys,
    log,
    firstKey,
    now: () => clock.now,
    elapsed: () => clock.elapsed,
  })
  await eventually('the instance is subscribed', async () => (await subscribers()) === before + 1)
  t.after(async () => {
    await apiKeys.close()
    await own.close()
  })
  return { apiKeys, clock, events, request: request as RedisClient }
}

/** Cuts a connection for good. */
const lose = async (client: RedisClient) => {
  const ended = once(client, 'end')
  client.disconnect()
  await ended
}

const grant = { name: 'Shop', scopes: ['jobs:submit'] as const }

t.test('an issued key is valid with its grants, and Redis holds no secret', async (t) => {
  const { apiKeys } = await openInstance(t)
  const { key, info } = await apiKeys.issue({
    ...grant,
    tenant: 'shop',
    types: ['send-sms'],
    queues: ['external-api'],
    rateLimitMax: 7,
  })
  t.match(key, /^jg_[0-9A-Za-z]{16}_[A-Za-z0-9_-]{43}$/)
  t.equal(toKeyId(key), info.id)
  t.same(await apiKeys.verify(key), {
    kind: 'valid',
    principal: {
      keyId: info.id,
      name: 'Shop',
      tenant: 'shop',
      scopes: new Set(['jobs:submit']),
      types: new Set(['send-sms']),
      queues: new Set(['external-api']),
      rateLimitMax: 7,
    },
  })
  const stored = JSON.stringify(await watcher.hgetall(keys.apiKeys))
  t.notOk(stored.includes(key.slice(-43)), 'the secret is not stored')
  t.notOk(JSON.stringify(info).includes('digest'), 'what is shown has no digest')
})

t.test('defaults: tenant default and no limits', async (t) => {
  const { apiKeys } = await openInstance(t)
  const { key } = await apiKeys.issue(grant)
  t.match(await apiKeys.verify(key), { principal: { tenant: 'default', types: null, queues: null, rateLimitMax: null } })
})

t.test('secrets with underscores keep their id', async (t) => {
  t.equal(toKeyId(`jg_abcdefghijkl_${'_'.repeat(43)}`), 'abcdefghijkl')
  t.equal(toKeyId(`jg_abcdefghijk_${'a'.repeat(43)}`), null, 'an id of 11 characters')
  t.equal(toKeyId(`jg_abcdefghijkl_${'a'.repeat(42)}`), null, 'a secret of 42 characters')
})

t.test('the first key is valid, also without Redis', async (t) => {
  const { apiKeys, request } = await openInstance(t)
  t.same(await apiKeys.verify(firstKey), { kind: 'valid', principal: firstPrincipal })
  await lose(request)
  t.same(await apiKeys.verify(firstKey), { kind: 'valid', principal: firstPrincipal })
})

t.test('what is not a key of ours is refused', async (t) => {
  const { apiKeys } = await openInstance(t)
  const { key } = await apiKeys.issue(grant)
  const before = await reads()
  for (const wrong of ['x', 'jg_', `${firstKey}x`, `${key}x`, key.slice(0, -1), key.replace('jg_', 'xx_')]) {
    t.same(await apiKeys.verify(wrong), { kind: 'refused' }, wrong.slice(0, 3))
  }
  t.equal(await reads(), before, 'Redis is not asked about them')
  t.same(await apiKeys.verify(`jg_${toKeyId(key)}_${'A'.repeat(43)}`), { kind: 'refused' }, 'right id, wrong secret')
  t.same(await apiKeys.verify(`jg_abcdefghijklmnop_${'A'.repeat(43)}`), { kind: 'refused' }, 'unknown id')
})

t.test('a key expires on time', async (t) => {
  const { apiKeys, clock } = await openInstance(t)
  const { key } = await apiKeys.issue({ ...grant, expiresAt: clock.now + 1000 })
  clock.now += 999
  t.match(await apiKeys.verify(key), { kind: 'valid' })
  clock.now += 1
  t.same(await apiKeys.verify(key), { kind: 'expired' })
  t.same(await apiKeys.verify(`${key.slice(0, -43)}${'A'.repeat(43)}`), { kind: 'refused' }, 'only who has the secret learns that')
})

t.test('a known key costs no Redis round trip, and a busy one none ever', async (t) => {
  const { apiKeys, clock } = await openInstance(t)
  const { key } = await apiKeys.issue(grant)
  await apiKeys.verify(key)
  const before = await reads()
  for (let use = 0; use < 1000; use++) await apiKeys.verify(key)
  t.equal(await reads(), before)
  // Twenty seconds of steady use: the record is read anew in the background, and no use finds it outdated.
  let pending = 0
  for (let second = 0; second < 20; second++) {
    clock.elapsed += 1000
    const count = await reads()
    const verification = apiKeys.verify(key)
    if (verification instanceof Promise) pending++
    t.match(await verification, { kind: 'valid' })
    if ((second + 1) % 3 === 0) await eventually('the record was read anew', async () => (await reads()) > count)
  }
  t.equal(pending, 0, 'no use waited for Redis')
})

t.test('a key that was proven ends with its time, its overlap and its revocation', async (t) => {
  const { apiKeys, clock } = await openInstance(t)
  const { key, info } = await apiKeys.issue({ ...grant, expiresAt: clock.now + 60_000 })
  const use = async (sent: string, times = 3) => {
    const kinds: string[] = []
    for (let time = 0; time < times; time++) kinds.push((await apiKeys.verify(sent)).kind)
    return kinds
  }
  t.same(await use(key), ['valid', 'valid', 'valid'])
  t.same(await use(`${key.slice(0, -43)}${'A'.repeat(43)}`), ['refused', 'refused', 'refused'], 'another secret with its id')
  const rotated = await apiKeys.rotate(info.id, { overlapMs: 10_000 })
  const next = (rotated as { key: string }).key
  t.same(
    [...(await use(key)), ...(await use(next))],
    Array.from({ length: 6 }, () => 'valid'),
  )
  clock.now += 10_000
  t.same([...(await use(key)), ...(await use(next))], ['refused', 'refused', 'refused', 'valid', 'valid', 'valid'])
  clock.now += 50_000
  t.same(await use(next), ['expired', 'expired', 'expired'])
  await apiKeys.revoke(info.id)
  t.same(await use(next), ['refused', 'refused', 'refused'])
})

t.test('uses at once share one read', async (t) => {
  const { apiKeys } = await openInstance(t)
  const { key } = await apiKeys.issue(grant)
  const before = await reads()
  const all = await Promise.all(Array.from({ length: 50 }, () => apiKeys.verify(key)))
  t.equal(all.filter(({ kind }) => kind === 'valid').length, 50)
  t.equal(await reads(), before + 1)
})

t.test('unknown ids are remembered, briefly and not without bound', async (t) => {
  const { apiKeys, clock } = await openInstance(t)
  const forged = (id: number) => `jg_${String(id).padStart(16, '0')}_${'A'.repeat(43)}`
  const start = await reads()
  await apiKeys.verify(forged(0))
  await apiKeys.verify(forged(0))
  t.equal(await reads(), start + 1)
  clock.elapsed += 2000
  await apiKeys.verify(forged(0))
  t.equal(await reads(), start + 2, 'forgotten after 2 s')
  for (let from = 1; from <= 1000; from += 100) {
    await Promise.all(Array.from({ length: 100 }, (_, index) => apiKeys.verify(forged(from + index))))
  }
  const full = await reads()
  await apiKeys.verify(forged(1000))
  t.equal(await reads(), full, 'the latest is still remembered')
  await apiKeys.verify(forged(0))
  t.equal(await reads(), full + 1, 'the oldest made room')
})

t.test('revoked on one instance, refused on the other at once', async (t) => {
  const [one, other] = [await openInstance(t), await openInstance(t)]
  const { key, info } = await one.apiKeys.issue(grant)
  t.match(await one.apiKeys.verify(key), { kind: 'valid' })
  t.match(await other.apiKeys.verify(key), { kind: 'valid' })
  t.equal(await one.apiKeys.revoke(info.id), true)
  t.same(await one.apiKeys.verify(key), { kind: 'refused' })
  // The clock of its cache stands still: nothing but the message can tell it.
  await eventually('the other instance refuses', async () => (await other.apiKeys.verify(key)).kind === 'refused')
  t.equal(await one.apiKeys.revoke(info.id), false, 'there is nothing left to revoke')
})

t.test('revoked while the message is lost, refused within 5 s', async (t) => {
  const [one, other] = [await openInstance(t), await openInstance(t)]
  const { key, info } = await one.apiKeys.issue(grant)
  t.match(await other.apiKeys.verify(key), { kind: 'valid' })
  await lose(other.events)
  await one.apiKeys.revoke(info.id)
  t.match(await other.apiKeys.verify(key), { kind: 'valid' }, 'it cannot know yet')
  other.clock.elapsed += 5000
  t.same(await other.apiKeys.verify(key), { kind: 'refused' })
})

t.test('a request that lasts ends with its key on every instance', async (t) => {
  const [one, other] = [await openInstance(t), await openInstance(t)]
  const hold = async (key: string) => {
    const verification = await other.apiKeys.verify(key)
    if (verification.kind !== 'valid') throw new Error(verification.kind)
    let told: string | null = null
    const held = other.apiKeys.hold(key, verification.principal, (end) => {
      told = end
    })
    return { held, ended: (end: string) => eventually(`it ends as ${end}`, () => told === end && held.end === end) }
  }

  await t.test('revoked', async (t) => {
    const { key, info } = await one.apiKeys.issue(grant)
    const { ended } = await hold(key)
    await one.apiKeys.revoke(info.id)
    await t.resolves(ended('refused'))
  })

  await t.test('expired', async (t) => {
    const { key } = await one.apiKeys.issue({ ...grant, expiresAt: other.clock.now + 1000 })
    const { ended } = await hold(key)
    other.clock.now += 1000
    await t.resolves(ended('expired'))
  })

  await t.test('rotated out, once the overlap is over', async (t) => {
    const { key, info } = await one.apiKeys.issue(grant)
    const { held, ended } = await hold(key)
    const next = await one.apiKeys.rotate(info.id, { overlapMs: 60_000 })
    const { held: heldNext } = await hold(next?.key ?? '')
    t.equal(held.end, null)
    other.clock.now += 60_000
    await t.resolves(ended('refused'))
    t.equal(heldNext.end, null)
    heldNext.release()
  })

  await t.test('narrowed', async (t) => {
    const { key, info } = await one.apiKeys.issue({ ...grant, scopes: ['jobs:submit', 'jobs:read'] })
    const { ended } = await hold(key)
    const record = JSON.parse((await watcher.hget(keys.apiKeys, info.id)) ?? '') as object
    await watcher.hset(keys.apiKeys, info.id, JSON.stringify({ ...record, types: ['echo'] }))
    await watcher.publish(keys.apiKeysChanged, info.id)
    await t.resolves(ended('changed'))
  })

  await t.test('revoked while the message is lost: as soon as the record is old', async (t) => {
    const { key, info } = await one.apiKeys.issue(grant)
    const { held, ended } = await hold(key)
    await lose(other.events)
    await one.apiKeys.revoke(info.id)
    t.equal(held.end, null, 'it cannot know yet')
    other.clock.elapsed += 2500
    await t.resolves(ended('refused'))
  })

  await t.test('what has ended is no longer held', async (t) => {
    t.equal(other.apiKeys.heldKeys(), 0)
  })
})

t.test('ten thousand requests of a key ask Redis no more often than one', async (t) => {
  const { apiKeys, clock } = await openInstance(t)
  const { key } = await apiKeys.issue(grant)
  const verification = await apiKeys.verify(key)
  if (verification.kind !== 'valid') return t.fail(verification.kind)
  const holds = Array.from({ length: 10_000 }, () => apiKeys.hold(key, verification.principal, () => t.fail('it holds')))
  const before = await reads()
  clock.elapsed += 2500
  await eventually('the record is read anew', async () => (await reads()) > before)
  t.equal(await reads(), before + 1)
  for (const { release } of holds) release()
  t.equal(apiKeys.heldKeys(), 0)
})

t.test('a connection that comes back forgets what it knew', async (t) => {
  const [one, other] = [await openInstance(t), await openInstance(t)]
  const { key, info } = await one.apiKeys.issue(grant)
  t.match(await other.apiKeys.verify(key), { kind: 'valid' })
  await lose(other.events)
  await one.apiKeys.revoke(info.id)
  await other.events.connect()
  await eventually('the other instance refuses', async () => (await other.apiKeys.verify(key)).kind === 'refused')
})

t.test('without Redis a known key lives on for 5 s, others are unavailable', async (t) => {
  const { apiKeys, clock, request } = await openInstance(t)
  const { key } = await apiKeys.issue(grant)
  const { key: unseen } = await apiKeys.issue(grant)
  await apiKeys.verify(key)
  await lose(request)
  t.same(await apiKeys.verify(unseen), { kind: 'unavailable' })
  clock.elapsed += 4999
  t.match(await apiKeys.verify(key), { kind: 'valid' })
  clock.elapsed += 1
  t.same(await apiKeys.verify(key), { kind: 'unavailable' })
})

t.test('rotation: two secrets until the overlap ends, never three', async (t) => {
  const [one, other] = [await openInstance(t), await openInstance(t)]
  const { key: first, info } = await one.apiKeys.issue(grant)
  await other.apiKeys.verify(first)
  const second = await one.apiKeys.rotate(info.id, { overlapMs: 1000 })
  if (second === null) return t.fail('no such key')
  t.equal(toKeyId(second.key), info.id)
  t.equal(second.info.previousValidUntil, one.clock.now + 1000)
  for (const { apiKeys } of [one, other]) {
    await eventually('the new secret is valid', async () => (await apiKeys.verify(second.key)).kind === 'valid')
    t.match(await apiKeys.verify(first), { kind: 'valid' }, 'and so is the old one')
  }
  one.clock.now += 1000
  t.same(await one.apiKeys.verify(first), { kind: 'refused' }, 'the overlap is over')
  const third = await one.apiKeys.rotate(info.id, { overlapMs: 60_000 })
  const fourth = await one.apiKeys.rotate(info.id, { overlapMs: 60_000 })
  t.same(await one.apiKeys.verify(second.key), { kind: 'refused' }, 'an older secret ends with the next rotation')
  t.match(await one.apiKeys.verify(third?.key ?? ''), { kind: 'valid' })
  t.match(await one.apiKeys.verify(fourth?.key ?? ''), { kind: 'valid' })
  const fifth = await one.apiKeys.rotate(info.id, { overlapMs: 0 })
  t.same(await one.apiKeys.verify(fourth?.key ?? ''), { kind: 'refused' }, 'without overlap the old secret ends at once')
  t.match(await one.apiKeys.verify(fifth?.key ?? ''), { kind: 'valid' })
})

t.test('a revoked key cannot be rotated back, not even by a race', async (t) => {
  const { apiKeys } = await openInstance(t)
  const { info } = await apiKeys.issue(grant)
  await Promise.all([apiKeys.rotate(info.id, { overlapMs: 1000 }), apiKeys.rotate(info.id, { overlapMs: 1000 }), apiKeys.revoke(info.id)])
  t.equal(await watcher.hget(keys.apiKeys, info.id), null)
  t.equal(await apiKeys.rotate(info.id, { overlapMs: 1000 }), null)
})

t.test('list pages by age and tells the last use', async (t) => {
  const { apiKeys, clock } = await openInstance(t)
  await watcher.del(keys.apiKeys)
  const issued = []
  for (let count = 0; count < 5; count++) {
    clock.now += 1000
    issued.push(await apiKeys.issue({ ...grant, name: `Key ${count}` }))
  }
  await apiKeys.verify(issued[1]?.key ?? '')
  await eventually('the use is noted', async () => (await watcher.hlen(keys.apiKeysUsed)) > 0)
  const first = await apiKeys.list({ limit: 3 })
  t.same(
    first.items.map(({ name, lastUsedAt }) => [name, lastUsedAt]),
    [
      ['Key 0', null],
      ['Key 1', clock.now],
      ['Key 2', null],
    ],
  )
  t.equal(first.next, issued[2]?.info.id)
  const second = await apiKeys.list({ limit: 3, after: first.next ?? '' })
  t.same(
    second.items.map(({ name }) => name),
    ['Key 3', 'Key 4'],
  )
  t.equal(second.next, null)
  t.notOk(JSON.stringify(first).includes('digest'))
})

t.test('a record that cannot be read is refused and does not spoil the list', async (t) => {
  const { apiKeys } = await openInstance(t)
  await watcher.hset(keys.apiKeys, 'brokenbroken', '{"id":')
  t.same(await apiKeys.verify(`jg_brokenbroken_${'A'.repeat(43)}`), { kind: 'refused' })
  t.notOk((await apiKeys.list({ limit: 200 })).items.some(({ id }) => id === 'brokenbroken'))
  t.equal(await apiKeys.revoke('brokenbroken'), true)
})

t.test('a scope of a later version is left out', async (t) => {
  const { apiKeys } = await openInstance(t)
  const { key, info } = await apiKeys.issue(grant)
  const record = JSON.parse((await watcher.hget(keys.apiKeys, info.id)) ?? '') as { scopes: string[] }
  record.scopes.push('jobs:fly')
  await watcher.hset(keys.apiKeys, info.id, JSON.stringify(record))
  t.match(await apiKeys.verify(key), { principal: { scopes: new Set(['jobs:submit']) } })
})

t.test('the records alone serve the command line', async (t) => {
  const records = createApiKeyRecords({ redis: watcher, keys, log })
  const { info } = await records.issue(grant)
  t.ok((await records.list({ limit: 200 })).items.some(({ id }) => id === info.id))
  t.equal(await records.revoke(info.id), true)
})

t.test('opened before Redis answers, it heals by itself', async (t) => {
  const { key } = await createApiKeyRecords({ redis: watcher, keys, log }).issue(grant)
  const own = await openRedis({ settings: { ...settings, target: { kind: 'url', url: `unix://${socketPath}` } }, log })
  const apiKeys = openApiKeys({ redis: own.request, events: own.connect('events'), keys, log, firstKey })
  t.after(async () => {
    await apiKeys.close()
    await own.close()
  })
  t.same(await apiKeys.verify(key), { kind: 'unavailable' }, 'the connection is still being made')
  await eventually('the key is valid', async () => (await apiKeys.verify(key)).kind === 'valid')
  await apiKeys.close()
  await apiKeys.close()
})

// The server is stopped when the file has ended, and the file ends when the server has stopped, unless it is told.
t.end()
