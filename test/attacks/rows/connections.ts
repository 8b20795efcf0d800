// Row 21: many connections that do next to nothing, and good clients beside them.

import { setTimeout as pause } from 'node:timers/promises'
import { openDescriptors } from '../../helpers/process-facts.js'
import type { Row } from '../row.js'

const connections = 500
const holdMs = 5000
const half = `GET /livez HTTP/1.1\r\nHost: gateway\r\nX-Slow: `

export const manyConnections: Row = {
  id: 'connections',
  title: '500 connections with unfinished headers',
  matrix: 21,
  quick: true,
  async run({ open, tried, check, world }) {
    const before = (await openDescriptors(world.pid)).sockets
    const wires = Array.from({ length: connections }, () => open())
    tried(connections)
    for (const wire of wires) wire.send(half)
    await pause(holdMs)
    const held = (await openDescriptors(world.pid)).sockets - before
    check(`no attack: only ${held} connections were held`, held > connections * 0.9)
    const { requests } = await world.good.peek()
    check('the good client got no further', requests > 0)
    return `${held} connections held; good client: ${requests} requests meanwhile`
  },
}
