// Locks, quotas and limits that all workers share.

import t from 'tap'
import { createLock } from '../../src/redis/lock.js'
import { createKeys } from '../../src/redis/redis-keys.js'
import { createNumberLimiter } from '../../src/vendors/aliyun-sms/number-limiter.js'
import { createSmsKeys } from '../../src/vendors/aliyun-sms/redis-keys.js'
import { createCallQuota, vendorCallsKey } from '../../src/vendors/call-quota.js'
import { larkRecordKey } from '../../src/vendors/lark/lark.js'
import { vendorTokenKey } from '../../src/vendors/tokens.js'
import { eventually } from '../helpers/eventually.js'
import { startStores } from '../helpers/vendor-attempt.js'

const newStore = await startStores(t)

t.test('a lock has one holder, ends by itself, and is released by nobody else', async (t) => {
  const store = newStore()
  const [one, other] = [createLock(store), createLock(store)]
  const taken = await Promise.all(Array.from({ length: 20 }, () => one('table', 60_000)))
  t.equal(taken.filter((held) => held !== null).length, 1)
  t.not(await other('another table', 60_000), null, 'names are apart')
  await taken.find((held) => held !== null)?.release()
  const short = await one('table', 20)
  t.not(short, null)
  await eventually('the short lock has ended', async () => (await other('table', 60_000)) !== null)
  await short?.release()
  t.equal(await one('table', 60_000), null, 'the late release left the new holder alone')
  const names = await store.redis.keys(`${store.keys.prefix}*`)
  t.notMatch(names.join(), /table/)
})

t.test('what vendors keep is found again: its names do not change', async (t) => {
  const keys = createKeys('{p}')
  const sms = createSmsKeys(keys)
  t.same(
    [vendorCallsKey(keys, 'v', 60_000), vendorTokenKey(keys, 'v-sts'), larkRecordKey(keys, 'd'), sms.number('d'), sms.handedOver('id')],
    [
      '{p}:gate:vendor-calls:v:60000',
      '{p}:gate:vendor-token:v-sts',
      '{p}:gate:lark-record:d',
      '{p}:gate:sms-number:d',
      '{p}:gate:sms-handed-over:id',
    ],
  )
})

t.test('a quota counts in all windows or in none', async (t) => {
  const { redis, keys } = newStore()
  const day = 86_400_000
  const quota = createCallQuota({
    redis,
    keys,
    vendor: 'v',
    quotas: [
      { calls: 3, windowMs: day },
      { calls: 100, windowMs: 2 * day },
    ],
  })
  const taken = await Promise.all(Array.from({ length: 10 }, () => quota.take()))
  t.equal(taken.filter((waitMs) => waitMs === 0).length, 3)
  t.ok(taken.every((waitMs) => waitMs >= 0 && waitMs <= day))
  const counts = await Promise.all((await redis.keys(`${keys.prefix}*`)).map((name) => redis.get(name)))
  t.same(counts, ['3', '3'])
})

t.test('a number limit slides: room is made when the oldest message leaves the window', async (t) => {
  const store = newStore()
  const windowMs = 60_000
  const limiter = createNumberLimiter({ ...store, limits: [{ count: 2, windowMs }] })
  t.equal(await limiter.take('d', 'm1'), 0)
  t.equal(await limiter.take('d', 'm2'), 0)
  const waitMs = await limiter.take('d', 'm3')
  t.ok(waitMs > 0 && waitMs <= windowMs)
  t.equal(await limiter.take('d', 'm2'), 0, 'the same message takes its own place again')
  // As if the first had been sent a window ago.
  await store.redis.zadd(createSmsKeys(store.keys).number('d'), Date.now() - windowMs - 1000, 'm1')
  t.equal(await limiter.take('d', 'm3'), 0)
  await limiter.giveBack('d', 'm3')
  t.equal(await limiter.take('d', 'm4'), 0)
  t.not(await limiter.take('d', 'm5'), 0)
})

// Ends the file, and with it the one Redis of all its tests.
t.end()
