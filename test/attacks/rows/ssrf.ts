// Row 26: addresses in job data that lead to this machine or its neighbors, as they are, by redirect, or by a resolver that lies.

import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'
import { bucket, startObjectStore } from '../../helpers/object-store.js'
import { privateHosts } from '../../helpers/private-hosts.js'
import { startSourceServer } from '../../helpers/source-server.js'
import { type Answer, createClient } from '../client.js'
import type { Attack, Row } from '../row.js'
import { untilFinished } from '../submit.js'
import { openWorld, type World } from '../world.js'

/** One of them may wait for an address that never answers. */
const uploadsAtOnce = 8
const resolver = new URL('../rebinding-resolver.mjs', import.meta.url).href
/** The names that the resolver of the attacker knows; the last one changes its mind between two look-ups. */
const names = ['private', 'mapped', 'loopback6', 'zero', 'metadata', 'mixed', 'turns']
const schemes = [
  'file:///etc/passwd',
  'gopher://127.0.0.1/',
  'ftp://127.0.0.1/',
  'data:text/plain,x',
  'javascript:1',
  'unix:/tmp/x',
  'dict://127.0.0.1:11211/',
]

/** A neighbor that must never be called: counts who connects, under every address of this machine. */
const startNeighbor = async ({ after }: Attack) => {
  let connections = 0
  const server = createServer((socket) => {
    connections++
    socket.destroy()
  })
  server.listen(0, '::')
  await once(server, 'listening')
  after(() => server.close())
  return { port: (server.address() as AddressInfo).port, connections: () => connections }
}

const recording = (fileUrl: string, n: number) => ({
  type: 'upload-recording',
  data: { fileUrl, fileName: `r${n}.mp4`, meetingId: 'ssrf', storageProvider: 'aws' },
  options: { attempts: 3, backoff: { type: 'fixed', delayMs: 0 } },
})

type Deps = { readonly client: Attack['client']; readonly key: string; readonly check: Attack['check']; readonly tried: Attack['tried'] }

/** Refused at once, or by the worker before it connects. */
const tryAddress = async ({ client, key, check, tried }: Deps, fileUrl: string, n: number) => {
  tried()
  const body = recording(fileUrl, n)
  const { status, json }: Answer = await client.send({ method: 'POST', path: '/v1/jobs', key, body })
  if (status === 400) return check(`${fileUrl}: the answer repeats it`, !JSON.stringify(json).includes(fileUrl))
  const job = await untilFinished({ client }, key, json.id)
  check(`${fileUrl}: ${job.state} ${job.error?.code}`, job.state === 'failed' && job.error.code === 'upload.source_blocked')
}

/** A gateway and a worker with a store of recordings; `env` on top. */
const openUploads = async ({ after }: Attack, env: Record<string, string>): Promise<World> => {
  const store = await startObjectStore({ after })
  const world = await openWorld({
    env: {
      STORAGE_AWS_REGION: 'us-east-1',
      STORAGE_AWS_BUCKET: bucket,
      STORAGE_AWS_ACCESS_KEY_ID: 'key',
      STORAGE_AWS_SECRET_ACCESS_KEY: 'secret',
      STORAGE_AWS_ENDPOINT: store.settings.endpoint as string,
      STORAGE_AWS_FORCE_PATH_STYLE: 'true',
      QUEUE_CONCURRENCY_EXTERNAL_API: String(uploadsAtOnce + 1),
      UPLOAD_CONCURRENCY: String(uploadsAtOnce),
      ...env,
    },
  })
  after(world.close)
  return world
}

/** What a public host would redirect to. */
const redirectsTo = (port: number): string[] => [
  ...privateHosts.map((host) => `http://${host}:${port}/`),
  ...privateHosts.slice(0, 5).map((host) => `https://${host}:${port}/`),
  `//127.1:${port}/`,
  `http://user@127.0.0.1:${port}/`,
  `http:\\\\127.0.0.1:${port}\\`,
  `http://127.0.0.1:${port}#@example.com/`,
  `http://example.com@127.0.0.1:${port}/`,
  ...schemes,
]

export const ssrf: Row = {
  id: 'ssrf',
  title: 'Addresses of private hosts in job data: all forms, redirects, rebinding resolvers',
  matrix: 26,
  quick: true,
  async run(attack) {
    const { check, tried, after } = attack
    const neighbor = await startNeighbor(attack)
    const targets = redirectsTo(neighbor.port)
    const source = await startSourceServer(
      { after },
      {
        '/': (request, response) => {
          const to = targets[Number(new URL(request.url as string, 'http://x').searchParams.get('to'))] as string
          response.writeHead(302, { location: to.replace(/[^\x20-\x7e]/gu, encodeURIComponent) }).end()
        },
      },
    )
    // The one host that may be private stands for a public one; ports are open where the default closes nearly all.
    const world = await openUploads(attack, {
      OUTBOUND_ALLOW_PRIVATE_HOSTS: `127.0.0.1:${source.port}`,
      OUTBOUND_ALLOW_PORTS: String(neighbor.port),
      NODE_OPTIONS: `--import=${resolver}`,
    })
    const client = createClient(world.url)
    after(client.close)
    const deps = { client, key: world.keys.red.all, check, tried }
    const addresses = [
      ...names.map((name) => `https://${name}.rebind.example:${neighbor.port}/`),
      ...targets,
      ...targets.map((_, to) => `http://127.0.0.1:${source.port}/?to=${to}`),
    ]
    const lanes = Array.from({ length: uploadsAtOnce }, async (_, lane) => {
      for (let n = lane; n < addresses.length; n += uploadsAtOnce) await tryAddress(deps, addresses[n] as string, n)
    })
    await Promise.all(lanes)
    check(`${neighbor.connections()} connections to a private host`, neighbor.connections() === 0)
    check(`${source.requests.length} of ${targets.length} redirects were asked for`, source.requests.length === targets.length)
    for (const fault of world.log.takeFaults()) check(fault, false)
    return `${neighbor.connections()} connections; ${targets.length} forms, as many redirects, ${names.length} resolvers`
  },
}
