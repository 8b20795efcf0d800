// An open loop of submissions that wait for their end. Arguments: address, a second, seconds. Prints p50 and p99 in milliseconds.

import { Agent, request } from 'node:http'
import { adminKey } from '../lab.mjs'
import { openLoop } from './open-loop.mjs'

const [address, rate, seconds] = process.argv.slice(2)
const agent = new Agent({ keepAlive: true, maxSockets: 1000 })
const headers = { authorization: `Bearer ${adminKey}`, 'content-type': 'application/json', prefer: 'wait=10' }
const seed = `${process.pid}-${Date.now()}`

const submit = (n) =>
  new Promise((resolve, reject) => {
    const call = request(`${address}/v1/jobs`, { agent, method: 'POST', headers: { ...headers, 'idempotency-key': `${seed}-${n}` } })
    call.on('error', reject)
    call.on('response', (response) => {
      response.resume()
      response.on('end', () => (response.statusCode === 200 ? resolve() : reject(new Error(`answered ${response.statusCode}`))))
    })
    call.end(JSON.stringify({ type: 'noop', data: { n } }))
  })

process.stdout.write(JSON.stringify(await openLoop(submit, { rate: Number(rate), seconds: Number(seconds) })))
agent.destroy()
