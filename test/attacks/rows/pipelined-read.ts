// Sends many requests at once and reads all answers: each of them, in order, and no other.

import type { Row } from '../row.js'

const connections = 8
const rounds = 60

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
    const runs = Array.from({ length: connections }, async (_, connection) => {
      const wire = open()
      wire.send(Array.from({ length: rounds }, (_, n) => round(`${connection}-${n}`)).join(''))
      tried(rounds * wanted.length)
      for (let n = 0; n < rounds * wanted.length; n++) {
        const answer = await wire.next()
        const id = `${connection}-${Math.floor(n / wanted.length)}-${n % wanted.length}`
        const got = answer && [answer.status, answer.headers['x-request-id']].join(' ')
        const status = wanted[n % wanted.length]
        // The limit of the key is one of the answers, too.
        if (got !== `${status} ${id}` && got !== `429 ${id}`) return check(`${id} got ${got} in place of ${status}`, false)
      }
    })
    await Promise.all(runs)
    return `${connections * rounds * wanted.length} answers in order`
  },
}
