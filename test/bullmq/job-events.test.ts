// The reader of event streams: which it reads, and what it does when Redis goes away.

import { once } from 'node:events'
import { pino } from 'pino'
import t from 'tap'
import { openJobEvents } from '../../src/bullmq/job-events.js'
import { mintJobId } from '../../src/bullmq/job-id.js'
import { createQueuePlaces } from '../../src/bullmq/queues.js'
import { openRedis } from '../../src/redis/connect.js'
import { createJobTypes } from '../../src/types/registry.js'
import { eventually } from '../helpers/eventually.js'
import { startRedis } from '../helpers/start-redis.js'

t.test('it reads the streams of queues whose jobs are followed, and no others, at once', async (t) => {
  const { redis } = await startRedis(t)
  const { request } = redis
  if (request.status !== 'ready') await once(request, 'ready')
  const client = redis.connect('events')
  const reads: { streams: string[]; answered: string[] | null }[] = []
  const xread = client.xread.bind(client) as (...args: unknown[]) => Promise<[string, unknown][] | null>
  const noted = async (...args: unknown[]) => {
    const streams = args.slice(args.indexOf('STREAMS') + 1) as string[]
    const read = { streams: streams.slice(0, streams.length / 2), answered: null as string[] | null }
    reads.push(read)
    const reply = await xread(...args)
    read.answered = reply?.map(([name]) => name) ?? null
    return reply
  }
  const queues = createQueuePlaces('{jobgate}', createJobTypes())
  const log = pino({ level: 'silent' })
  const events = openJobEvents({ connect: () => Object.assign(client, { xread: noted }), request, queues, log })
  t.after(() => events.close())
  const [email, meeting] = [mintJobId('email'), mintJobId('meeting')]
  const told: string[] = []
  const tell = (jobId: string) =>
    request.xadd(queues.ofJob(jobId)?.events as string, '*', 'event', 'active', 'jobId', jobId, 'prev', 'waiting')

  await tell(email)
  await events.follow(email, () => told.push('email'))
  await eventually('it reads', () => reads.length === 1)
  t.match(reads[0]?.streams, [/:gate:wake-reader:/, '{jobgate}:email:events'])
  await events.follow(meeting, () => told.push('meeting'))
  await tell(meeting)
  await tell(email)
  await eventually('both were told', () => told.length === 2)
  t.same([...told].sort(), ['email', 'meeting'], 'nothing from before')
  const wakeKey = reads[0]?.streams[0] as string
  t.ok(
    reads.some(({ answered }) => answered?.includes(wakeKey)),
    'the read under way was ended for it',
  )
  t.same(reads.at(-1)?.streams, [wakeKey, '{jobgate}:email:events', '{jobgate}:meeting:events'])
  t.ok((await request.pttl(wakeKey)) > 0, 'it leaves nothing behind')

  t.equal(typeof (await events.follow(mintJobId('no-such-queue'), () => {})), 'function')
  t.equal(events.followed(), 2, 'what is not there is not followed')
})

t.test('it closes while Redis is away and a job is followed', async (t) => {
  const server = await startRedis(t)
  const { request } = server.redis
  if (request.status !== 'ready') await once(request, 'ready')
  const log = pino({ level: 'silent' })
  const target = { kind: 'url', url: `unix://${server.socketPath}` } as const
  const beside = await openRedis({ settings: { target, db: 0, tls: false, prefix: '{jobgate}' }, log })
  t.after(() => beside.close())
  const client = beside.connect('events')
  const events = openJobEvents({ connect: () => client, request, queues: createQueuePlaces('{jobgate}', createJobTypes()), log })
  await events.follow(mintJobId('email'), () => {})
  // Not `events.once`: an error on the way is no reason to give up.
  const away = new Promise<void>((resolve) => client.once('reconnecting', () => resolve()))
  await server.redis.close()
  await away
  await events.close()
})
