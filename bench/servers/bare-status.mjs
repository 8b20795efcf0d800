// A bare Fastify route that answers what a status read answers, from memory and by the same schema.

import Fastify from 'fastify'
import { JobError, JobView } from '../../dist/types/job-schema.js'

const answer = JSON.parse(process.env.BENCH_ANSWER)
const app = Fastify()
app.addSchema(JobError)
app.get('/v1/jobs/:id', { schema: { response: { 200: JobView } } }, async () => answer)
const address = await app.listen({ port: 0, host: '127.0.0.1' })
process.stdout.write(`${JSON.stringify({ address })}\n`)
