// Memory of open event streams.

import { Agent, get } from 'node:http'
import { setTimeout as pause } from 'node:timers/promises'
import { adminKey, memoryOf, openLab, post, toSubmission } from '../lab.mjs'

const streams = 2000
const roundsMax = 3
/** Jobs that are watched, each by ten: as a page that several people have open. */
const jobs = 200
/** V8 gives pages back a while after it has collected. */
const settleMs = 3000
const kib = 1024

export const title = `${streams} open event streams`

/** Resolves once the first event has come. */
const openStream = (address, id, agent) =>
  new Promise((resolve, reject) => {
    const headers = { authorization: `Bearer ${adminKey}`, accept: 'text/event-stream' }
    const call = get(`${address}/v1/jobs/${id}/events`, { agent, headers }, (response) => {
      if (response.statusCode !== 200) reject(new Error(`a stream was answered ${response.statusCode}`))
      response.once('data', () => resolve())
    })
    call.on('error', reject)
  })

const measure = async () => {
  const lab = await openLab()
  const agent = new Agent({ maxSockets: Number.POSITIVE_INFINITY })
  try {
    const redis = await lab.startRedis()
    const gateway = await lab.startGateway(redis)
    const items = Array.from({ length: jobs }, (_, index) => toSubmission(`stream-${index}`))
    const { items: answers } = await post(`${gateway.address}/v1/jobs/batch`, { items })
    await openStream(gateway.address, answers[0].id, agent)
    const held = async () => {
      process.kill(gateway.pid, 'SIGWINCH')
      await pause(settleMs)
      return memoryOf(gateway.pid).now
    }
    const before = await held()
    for (let opened = 0; opened < streams; opened += jobs) {
      await Promise.all(answers.map(({ id }) => openStream(gateway.address, id, agent)))
    }
    return ((await held()) - before) / streams
  } finally {
    agent.destroy()
    await lab.close()
  }
}

export const run = async ({ rounds }) => {
  const values = []
  for (let round = 0; round < Math.min(rounds, roundsMax); round++) values.push((await measure()) / kib)
  return [{ name: 'resident memory of each, KiB', values, digits: 1, must: 30, goal: 15, atMost: true }]
}
