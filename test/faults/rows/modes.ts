// Rows 9 and 10: the master behind the Sentinels, or the owner of the slot in a Cluster, dies or freezes.

import { setTimeout as pause } from 'node:timers/promises'
import { Cluster, Redis } from 'ioredis'
import { freePorts, type RedisNode, startCluster, startSentinel, startServer } from '../../helpers/redis-clusters.js'
import { until } from '../../helpers/until.js'
import { holdJobs, mostlyHeld } from '../held-jobs.js'
import type { Row, World } from '../world.js'

/** What the old master handed out last may be started this long after it is a master no more. */
const leaseMarginMs = 1000
const patience = { WORKER_LOCK_MS: '5000', WORKER_STALLED_INTERVAL_MS: '1000' }

/** Load, fault, load; `strike` breaks and `mend` (if it can be mended) brings back. */
const failOver = async (
  world: World,
  options: {
    env: Record<string, string>
    /** A new connection for the checker: an old one may still lead to a master that was replaced while it was frozen. */
    connect: () => Redis | Cluster
    strike: () => void
    /** Brings it back; resolves when it knows that it is no master any more. */
    mend?: () => Promise<void>
    gapLimitMs: number
    /** The master may take jobs along that its replica does not have yet: their number is published, not forbidden. */
    mayLose: boolean
  },
) => {
  const { history, random } = world
  const { env, connect, strike, mend } = options
  const gateway = await world.gateway(env)
  await world.worker(env)
  const release = await holdJobs(world, gateway.url)
  // A frozen master takes long to mend, and all that comes meanwhile has to be run afterwards.
  const load = world.startLoad({ url: () => gateway.url, senders: 8, pauseMs: mend ? 20 : 5, typeOf: mostlyHeld })
  await pause(random.between(1500, 3000))
  world.check(
    'nothing was accepted before the fault',
    history.calls.some(({ outcome }) => outcome === 'ok'),
  )
  const settled = world.loseLeases()
  strike()
  const struck = Date.now()
  // Answers under way are not a sign of the new master.
  await pause(500)
  const probe = Date.now()
  await until('it accepts again', () => history.calls.some(({ start, outcome }) => start >= probe && outcome === 'ok'), 60_000)
  await pause(2000)
  await mend?.()
  settled(leaseMarginMs)
  await pause(1000)
  await load.stop()
  const client = connect()
  client.on('error', () => {})
  world.scope.after(() => client.disconnect())
  await until('the new master answers the checker', async () => (await client.set('{jobgate}:checker', '1').catch(() => null)) === 'OK')
  await world.sendAgain(gateway.url, load.left)
  await release()
  const verdict = await world.conclude(client, { mayLose: options.mayLose })
  const ends = history.calls.filter(({ outcome }) => outcome === 'ok').map(({ end }) => end)
  const before = Math.max(...ends.filter((end) => end <= struck))
  const after = Math.min(...ends.filter((end) => end > probe))
  world.note(`gap ${after - before} ms, lost ${verdict.lost} of ${verdict.acknowledged}, ${verdict.ranTwice} started again`)
  world.check(`the gap was ${after - before} ms`, after - before <= options.gapLimitMs)
}

/** Sentinels wait some seconds before they turn a master that came back into a replica. */
const wakeAsReplica = async (node: RedisNode) => {
  node.process.kill('SIGCONT')
  const client = new Redis({ port: node.port, host: '127.0.0.1', maxRetriesPerRequest: null })
  client.on('error', () => {})
  await until('the old master is a replica in step', async () => {
    const info = await client.info('replication').catch(() => '')
    return info.includes('role:slave') && info.includes('master_link_status:up')
  })
  client.disconnect()
}

const sentinel = (signal: 'SIGKILL' | 'SIGSTOP', durability: 'memory' | 'replicated'): Row => ({
  id: `9${signal === 'SIGKILL' ? 'k' : 's'}${durability === 'memory' ? 'm' : 'r'}`,
  fault: `Sentinel master ${signal}, DURABILITY=${durability}`,
  async run(world) {
    const { hosts, master, name } = await startSentinel(world.scope)
    await failOver(world, {
      env: { REDIS_SENTINELS: hosts.map(({ host, port }) => `${host}:${port}`).join(','), DURABILITY: durability, ...patience },
      connect: () => new Redis({ sentinels: hosts, name, maxRetriesPerRequest: null, socketTimeout: 3000 }),
      strike: () => void master.process.kill(signal),
      ...(signal === 'SIGSTOP' ? { mend: () => wakeAsReplica(master) } : {}),
      gapLimitMs: 8000,
      mayLose: durability === 'memory',
    })
  },
})

/** Both must be at work this long after a start beside a frozen master: the Sentinels take some five seconds to replace it. */
const startLimitMs = 20_000

const startBesideFrozen: Row = {
  id: '9f',
  fault: 'Sentinel master SIGSTOP, gateway and worker start meanwhile',
  async run(world) {
    const { history, random, runs } = world
    const { hosts, master, name } = await startSentinel(world.scope)
    const env = { REDIS_SENTINELS: hosts.map(({ host, port }) => `${host}:${port}`).join(','), ...patience }
    const before = await world.gateway(env)
    const sends = Array.from({ length: 20 }, (_, index) => ({ key: `early${index}` }))
    for (const send of sends) await history.submit(before.url, send)

    const settled = world.loseLeases()
    master.process.kill('SIGSTOP')
    await pause(random.between(0, 1500))
    const began = Date.now()
    const [gateway, worker] = await Promise.all([world.unreadyGateway(env), world.worker(env)])
    world.check('/livez does not answer', (await fetch(`${gateway.url}/livez`)).ok)
    const accepted = async () => (await history.submit(gateway.url, { key: 'late' })).outcome === 'ok'
    await until('the new gateway accepts', accepted)
    const acceptedMs = Date.now() - began
    await runs.started('late')
    const runMs = Date.now() - began
    world.note(`beside a frozen master: accepts ${acceptedMs} ms after the start, runs after ${runMs} ms (worker ${worker.pid})`)
    world.check(`it took ${runMs} ms`, runMs <= startLimitMs)
    await wakeAsReplica(master)
    settled(leaseMarginMs)
    const client = new Redis({ sentinels: hosts, name, maxRetriesPerRequest: null, socketTimeout: 3000 })
    client.on('error', () => {})
    world.scope.after(() => client.disconnect())
    await world.sendAgain(gateway.url, [])
    await world.conclude(client, { mayLose: true })
  },
}

/** A second replica for the owner: with none left behind the new master, nothing could be confirmed as replicated. */
const addReplica = async (world: World, owner: number) => {
  const [port] = (await freePorts(1)) as [number]
  const lines = ['cluster-enabled yes', 'cluster-config-file nodes.conf', 'cluster-node-timeout 1500', 'repl-diskless-sync-delay 0']
  await startServer(world.scope, { port, lines })
  const master = new Redis({ port: owner, host: '127.0.0.1' })
  const replica = new Redis({ port, host: '127.0.0.1' })
  const id = await master.cluster('MYID')
  await replica.cluster('MEET', '127.0.0.1', owner)
  await until('the new node knows the owner', async () =>
    replica.cluster('REPLICATE', id).then(
      () => true,
      () => false,
    ),
  )
  await until('the owner has two replicas in step', async () => (await master.info('replication')).split('state=online').length === 3)
  for (const client of [master, replica]) client.disconnect()
}

const cluster = (durability: 'memory' | 'replicated'): Row => ({
  id: `10${durability === 'memory' ? 'm' : 'r'}`,
  fault: `Cluster slot owner SIGKILL, DURABILITY=${durability}`,
  async run(world) {
    const { hosts, nodes } = await startCluster(world.scope, { replicas: true })
    const any = new Redis({ port: (nodes[0] as RedisNode).port, host: '127.0.0.1' })
    const slot = Number(await any.cluster('KEYSLOT', '{jobgate}'))
    const slots = (await any.cluster('SLOTS')) as unknown as [number, number, [string, number]][]
    any.disconnect()
    const port = slots.find(([from, to]) => from <= slot && slot <= to)?.[2][1]
    await addReplica(world, port as number)
    const owner = nodes.find((node) => node.port === port)
    await failOver(world, {
      env: { REDIS_CLUSTER_NODES: hosts.map((each) => `${each.host}:${each.port}`).join(','), DURABILITY: durability, ...patience },
      connect: () => new Cluster(hosts, { clusterRetryStrategy: () => 100 }),
      strike: () => void owner?.process.kill('SIGKILL'),
      gapLimitMs: 6000,
      mayLose: durability === 'memory',
    })
  },
})

export const modeRows: readonly Row[] = [
  sentinel('SIGKILL', 'memory'),
  sentinel('SIGKILL', 'replicated'),
  sentinel('SIGSTOP', 'memory'),
  sentinel('SIGSTOP', 'replicated'),
  startBesideFrozen,
  cluster('memory'),
  cluster('replicated'),
]
