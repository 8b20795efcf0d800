// (a) A bare Fastify route that validates the same body and answers.

import Fastify from 'fastify'
import { body } from './body.mjs'

const app = Fastify()
const answer = { id: 'mail_3q2AMb1cT7mR0wZk9vYxFg', state: 'waiting' }
app.post('/v1/jobs', { schema: { body } }, async (_request, reply) => reply.code(202).send(answer))
const address = await app.listen({ port: 0, host: '127.0.0.1' })
process.stdout.write(`${JSON.stringify({ address })}\n`)
