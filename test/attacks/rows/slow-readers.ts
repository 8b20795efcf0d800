// Asks for everything that is large or long, and never reads a byte of it.

import { setTimeout as pause } from 'node:timers/promises'
import { openDescriptors } from '../../helpers/process-facts.js'
import { until } from '../../helpers/until.js'
import type { Attack, Row } from '../row.js'
import { submitDelayed } from '../submit.js'
import type { Wire } from '../wire.js'

const clients = 20
const importClients = 4
const holdMs = 6000
/** NDJSON_IDLE_MS, and what it takes to notice. */
const importLimitMs = 30_000
const importMarginMs = 30_000
/** Whose answers are more than the kernel takes: some 50 MB. */
const importLines = 200_000
const linesPerChunk = 1000
const boardLimit = 5

const get = (path: string, key?: string, more = '') =>
  `GET ${path} HTTP/1.1\r\nHost: gateway\r\n${key === undefined ? '' : `Authorization: Bearer ${key}\r\n`}${more}\r\n`

/** A line that is refused: what is answered is larger than what is sent. */
const line = '{"type":"none"}\n'

const openImports = ({ open, world, tried }: Attack, count: number): Wire[] =>
  Array.from({ length: count }, () => {
    const wire = open({ reads: false })
    const head = `POST /v1/jobs/batch HTTP/1.1\r\nHost: gateway\r\nAuthorization: Bearer ${world.keys.red.all}\r\nContent-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n`
    const block = line.repeat(linesPerChunk)
    wire.send(head)
    for (let lines = 0; lines < importLines; lines += linesPerChunk) wire.send(`${block.length.toString(16)}\r\n${block}\r\n`)
    tried()
    return wire
  })

export const slowReaders: Row = {
  id: 'slow-readers',
  title: 'Answers, streams and pages that nobody reads',
  matrix: 21,
  quick: true,
  async run(attack) {
    const { world, open, tried, check, isQuick } = attack
    const { all } = world.keys.red
    const id = await submitDelayed(attack, all)
    const before = (await openDescriptors(world.pid)).sockets
    const requests = [
      get('/docs/static/swagger-ui-bundle.js').repeat(20),
      get('/openapi.json').repeat(20),
      get('/v1/jobs?limit=200', all),
      get(`/v1/jobs/${id}?waitMs=30000`, all),
      get(`/v1/jobs/${id}/events`, all, 'Accept: text/event-stream\r\n'),
      get('/admin/board', world.keys.admin).repeat(boardLimit),
      get('/metrics').repeat(boardLimit),
    ]
    const asked = requests.flatMap((bytes) =>
      Array.from({ length: clients }, () => {
        const wire = open({ reads: false })
        wire.send(bytes)
        tried()
        return wire
      }),
    )
    const imports = openImports(attack, importClients)
    const began = Date.now()
    await pause(holdMs)
    const held = (await openDescriptors(world.pid)).sockets - before
    check(`no attack: only ${held} connections were held`, held >= clients)
    const { p99Ms } = await world.good.peek()
    if (isQuick) return `good client p99 ${p99Ms} ms meanwhile`
    for (const wire of asked) wire.close()
    // Whoever does not read does not see the end either: only the gateway knows.
    const left = async () => (await openDescriptors(world.pid)).sockets - before
    const isOver = until('the unread imports end', async () => (await left()) <= 0, importLimitMs + importMarginMs - (Date.now() - began))
    const tookMs = await isOver.then(
      () => Date.now() - began,
      async () => check(`${await left()} of ${imports.length} imports that nobody reads are still open`, false),
    )
    return `good client p99 ${p99Ms} ms meanwhile; ${imports.length} unread imports ended after ${tookMs} ms`
  },
}
