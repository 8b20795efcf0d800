// Asks for a large file many times at once and reads nothing: answers that nobody fetches must not pile up.

import { setTimeout as pause } from 'node:timers/promises'
import { openDescriptors } from '../../helpers/process-facts.js'
import type { Row } from '../row.js'

const file = '/docs/static/swagger-ui-bundle.js'
const ask = `GET ${file} HTTP/1.1\r\nHost: gateway\r\n\r\n`
const quick = { connections: 1, requests: 100 }
const full = { connections: 10, requests: 2000 }
/** Time for the gateway to take what it wants to take of it. */
const lingerMs = 1500
const lookMs = 50
const livezLimitMs = 100

export const pipelinedStatic: Row = {
  id: 'pipelined-static',
  title: 'Pipelined requests for a large file, never read',
  quick: true,
  async run({ world, isQuick, open, tried, check }) {
    const { connections, requests } = isQuick ? quick : full
    const before = (await openDescriptors(world.pid)).descriptors
    let most = 0
    for (let each = 0; each < connections; each++) {
      open({ reads: false }).send(ask.repeat(requests))
      tried(requests)
    }
    const until = Date.now() + lingerMs
    while (Date.now() < until) {
      most = Math.max(most, (await openDescriptors(world.pid)).descriptors - before)
      await pause(lookMs)
    }
    check(`no attack: at most ${most} descriptors more were open`, most > 0)
    const { livezMaxMs } = await world.good.peek()
    if (!isQuick) check(`/livez took ${livezMaxMs} ms`, livezMaxMs <= livezLimitMs)
    return `${connections} × ${requests} requests unread, at most ${most} more descriptors; /livez at most ${livezMaxMs} ms meanwhile`
  },
}
