// Takes every descriptor that the gateway may have: whoever came later waits, and all is well once the attackers are gone.

import { setTimeout as pause } from 'node:timers/promises'
import { openDescriptors } from '../../helpers/process-facts.js'
import type { Row } from '../row.js'

const descriptorsMax = 1024
const connections = 2000
const holdMs = 4000
const pipelined = { connections: 5, requests: 1000 }
const bundle = 'GET /docs/static/swagger-ui-bundle.js HTTP/1.1\r\nHost: gateway\r\n\r\n'

export const descriptors: Row = {
  id: 'descriptors',
  title: 'More connections and files than descriptors',
  gateway: { descriptorsMax },
  disrupts: true,
  quick: true,
  async run({ world, open, tried, check }) {
    const wires = Array.from({ length: connections }, (_, n) => open({ from: `127.0.2.${1 + (n % 200)}` }))
    for (const wire of wires) wire.send('GET /livez HTTP/1.1\r\nHost: gateway\r\n')
    tried(connections)
    await pause(holdMs)
    const { descriptors } = await openDescriptors(world.pid)
    check(`no attack: only ${descriptors} descriptors were open`, descriptors > descriptorsMax * 0.9)
    const refused = wires.filter((wire) => wire.isOver()).length
    for (const wire of wires) wire.close()
    for (let each = 0; each < pipelined.connections; each++) {
      open({ reads: false }).send(bundle.repeat(pipelined.requests))
      tried(pipelined.requests)
    }
    await pause(holdMs)
    return `ulimit -n ${descriptorsMax}: ${descriptors} open, ${refused} of ${connections} connections refused`
  },
}
