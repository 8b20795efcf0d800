// Sends many requests at once and reads all answers: each of them, in order, and no other.

import type { Row } from '../row.js'
import type { Wire } from '../wire.js'

const connections = 8
/** So many requests may wait on one connection: five in each round. */
const roundsAtOnce = 20
const blocks = 3
const tooMany = 1000

export const pipelinedRead: Row = {
  id: 'pipelined-read',
  title: 'Pipelined requests of all kinds, read in order',
  quick: true,
  async run({ world, open, tried, check }) {
    const { all } = world.keys.red
    const head = (line: string, more = '') => `${line} HTTP/1.1\r\nHost: gateway\r\nAuthorization: Bearer ${all}\r\n${more}`
    const job = '{"type":"process-webhook","data":{"source":"other","eventId":"p","eventType":"p","payload":{}}}'
    const wanted = [200, 202, 404, 200, 400]
    const round = (n: string) =>
      [
        head('GET /livez', `X-Request-Id: ${n}-0\r\n\r\n`),
        head('POST /v1/jobs', `X-Request-Id: ${n}-1\r\nContent-Type: application/json\r\nContent-Length: ${job.length}\r\n\r\n${job}`),
        head('GET /v1/jobs/absent', `X-Request-Id: ${n}-2\r\n\r\n`),
        head('GET /v1/jobs?limit=5', `X-Request-Id: ${n}-3\r\n\r\n`),
        head('POST /v1/jobs', `X-Request-Id: ${n}-4\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}`),
      ].join('')
    const readInOrder = async (wire: Wire, name: string, rounds: number) => {
      for (let n = 0; n < rounds * wanted.length; n++) {
        const answer = await wire.next()
        const id = `${name}-${Math.floor(n / wanted.length)}-${n % wanted.length}`
        const got = answer && [answer.status, answer.headers['x-request-id']].join(' ')
        // The limit of the key is one of the answers, too.
        if (got !== `${wanted[n % wanted.length]} ${id}` && got !== `429 ${id}`) return { read: n, got }
      }
      return { read: rounds * wanted.length, got: '' }
    }
    const send = (wire: Wire, name: string, rounds: number) => {
      wire.send(Array.from({ length: rounds }, (_, n) => round(`${name}-${n}`)).join(''))
      tried(rounds * wanted.length)
    }
    const runs = Array.from({ length: connections }, async (_, connection) => {
      const wire = open()
      for (let block = 0; block < blocks; block++) {
        const name = `${connection}-${block}`
        send(wire, name, roundsAtOnce)
        const { read, got } = await readInOrder(wire, name, roundsAtOnce)
        check(`answer ${read} of ${name} is ${got}`, read === roundsAtOnce * wanted.length)
      }
      return wire
    })
    for (const wire of await Promise.all(runs)) wire.close()
    // Of far too many, the first are answered in order, then one is refused, and it is over; unless they arrive no faster than they are answered.
    const wire = open()
    send(wire, 'many', tooMany / wanted.length)
    const { read, got } = await readInOrder(wire, 'many', tooMany / wanted.length)
    const isOver = async () => String(got).startsWith('429 ') && (await wire.rest()).length === 0
    check(`answer ${read} of too many is ${got}, and it goes on`, read === tooMany || (await isOver()))
    return `${connections * blocks * roundsAtOnce * wanted.length} answers in order; of ${tooMany} at once the first ${read}`
  },
}
