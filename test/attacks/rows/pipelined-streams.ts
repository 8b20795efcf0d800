// Opens several event streams on one connection, and leaves: those that were queued behind the first must end as well.

import { setTimeout as pause } from 'node:timers/promises'
import { openDescriptors } from '../../helpers/process-facts.js'
import type { Row } from '../row.js'
import { submitDelayed } from '../submit.js'

const connections = 20
const streams = 6
const lingerMs = 1000

export const pipelinedStreams: Row = {
  id: 'pipelined-streams',
  title: 'Pipelined event streams and long polls, then gone',
  quick: true,
  async run(attack) {
    const { world, open, tried, check } = attack
    const { all } = world.keys.red
    const id = await submitDelayed(attack, all)
    const ask = (path: string, accept: string) =>
      `GET ${path} HTTP/1.1\r\nHost: gateway\r\nAuthorization: Bearer ${all}\r\nAccept: ${accept}\r\n\r\n`
    const stream = ask(`/v1/jobs/${id}/events`, 'text/event-stream')
    const poll = ask(`/v1/jobs/${id}?waitMs=30000`, 'application/json')
    const before = (await openDescriptors(world.pid)).sockets
    const wires = Array.from({ length: connections }, (_, n) => {
      const wire = open({ reads: n % 2 === 0 })
      wire.send((n % 4 < 2 ? stream : poll).repeat(streams))
      tried(streams)
      return wire
    })
    await pause(lingerMs)
    const held = (await openDescriptors(world.pid)).sockets - before
    check(`no attack: only ${held} connections were held`, held >= connections)
    for (const wire of wires) wire.close()
    return `${connections} × ${streams} streams and polls left`
  },
}
