// (d) What one writes by hand in an afternoon: Fastify, SET NX, queue.add.

import { Queue } from 'bullmq'
import Fastify from 'fastify'
import { Redis } from 'ioredis'
import { body } from './body.mjs'

const redis = new Redis(process.env.REDIS_PATH, { maxRetriesPerRequest: null })
const queue = new Queue('email', { connection: redis, prefix: '{minimal}' })
const app = Fastify()
app.post('/v1/jobs', { schema: { body } }, async (request, reply) => {
  const key = request.headers['idempotency-key']
  if (!(await redis.set(`key:${key}`, '1', 'EX', 86_400, 'NX'))) return reply.code(409).send({ error: 'seen' })
  const job = await queue.add(request.body.type, request.body.data, { attempts: 3 })
  return reply.code(202).send({ id: job.id, state: 'waiting' })
})
const address = await app.listen({ port: 0, host: '127.0.0.1' })
process.stdout.write(`${JSON.stringify({ address })}\n`)
