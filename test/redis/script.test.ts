// Scripts that are sent as bytes, on a real Redis: one connection, many, and a server that has lost them.

import t from 'tap'
import { defineScript } from '../../src/redis/script.js'
import { startRedis } from '../helpers/start-redis.js'

const { redis } = await startRedis(t)
const lua = "return { KEYS[1], ARGV[1], redis.call('INCR', KEYS[1]) }"

const evals = async (client: { info(section: string): Promise<string> }) => {
  const stats = await client.info('commandstats')
  const callsOf = (name: string) => Number(new RegExp(`cmdstat_${name}:calls=(\\d+)`).exec(stats)?.[1] ?? 0)
  return { eval: callsOf('eval'), evalsha: callsOf('evalsha') }
}

t.test('keys, values and replies keep their text', async (t) => {
  const call = defineScript<[string, string, number]>(redis.connect('worker'), lua)
  t.same(await call(['{a}ключ'], ['值 "x"\r\n']), ['{a}ключ', '值 "x"\r\n', 1])
  t.same(await call(['{a}ключ'], [7]), ['{a}ключ', '7', 2])
})

t.test('a connection brings the text once, with its first call', async (t) => {
  const client = redis.connect('worker')
  const call = defineScript<[string, string, number]>(client, `${lua} -- once`)
  const before = await evals(client)
  await Promise.all(Array.from({ length: 5 }, () => call(['{a}once'], ['x'])))
  const after = await evals(client)
  t.same([after.eval - before.eval, after.evalsha - before.evalsha], [1, 4])
})

t.test('a server that has lost the text gets it again, and no call is lost', async (t) => {
  const client = redis.connect('worker')
  const call = defineScript<[string, string, number]>(client, lua)
  await call(['{a}lost'], ['x'])
  await client.script('FLUSH')
  const replies = await Promise.all(Array.from({ length: 5 }, () => call(['{a}lost'], ['x'])))
  t.same(replies.map(([, , count]) => count).sort(), [2, 3, 4, 5, 6])
})

t.test('what is sent anew is confirmed anew', async (t) => {
  const client = redis.connect('worker')
  const order: string[] = []
  const call = defineScript<[string, string, number]>(client, lua, async (write) => {
    const [written] = await Promise.all([write(), client.incr('{a}confirmed').then((count) => order.push(`confirmed ${count}`))])
    return written
  })
  await call(['{a}safe'], ['x'])
  await client.script('FLUSH')
  t.same(await call(['{a}safe'], ['x']), ['{a}safe', 'x', 2])
  t.same(order, ['confirmed 1', 'confirmed 2', 'confirmed 3'])
})

t.test('the error of a script is the error of the call', async (t) => {
  const call = defineScript(redis.connect('worker'), "return redis.error_reply('OOM no room')")
  await t.rejects(call(['{a}error'], []), { message: /OOM no room/ })
})

t.end()
