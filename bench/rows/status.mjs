// Reading the state of a job, beside a bare route and the least Redis work that could answer.

import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { adminKey, connections, inSeries, load, openLab, post, runLoad, toSubmission } from '../lab.mjs'
import { inRounds } from '../rounds.mjs'

const jobs = 1000

export const title = `Status reads, ${connections} connections`

/** Submits jobs; resolves with the files of their ids and of their keys in Redis, and with one answer. */
export const prepareJobs = async (lab, redis, gateway) => {
  const items = Array.from({ length: jobs }, (_, index) => toSubmission(`status-${index}`))
  const { items: answers } = await post(`${gateway.address}/v1/jobs/batch`, { items })
  const ids = answers.map(({ id }) => id)
  const [key] = await redis.client.keys(`*:${ids[0]}`)
  const dir = await lab.newDir()
  const [idFile, keyFile] = [join(dir, 'ids'), join(dir, 'keys')]
  await writeFile(idFile, `${ids.join('\n')}\n`)
  await writeFile(keyFile, `${ids.map((id) => key.replace(ids[0], id)).join('\n')}\n`)
  const answer = await fetch(`${gateway.address}/v1/jobs/${ids[0]}`, { headers: { authorization: `Bearer ${adminKey}` } })
  return { idFile, keyFile, answer: await answer.text() }
}

export const run = async ({ rounds, seconds }) => {
  const lab = await openLab()
  try {
    const redis = await lab.startRedis()
    const gateway = await lab.startGateway(redis)
    const { idFile, keyFile, answer } = await prepareJobs(lab, redis, gateway)
    const bare = await lab.startServer('bare-status', { BENCH_ANSWER: answer })
    const readFrom = ({ address, key }) => load(address, 'status.lua', { seconds, key, env: { BENCH_IDS: idFile } }).rate
    const results = await inRounds(rounds, {
      gateway: () => readFrom(gateway),
      bare: () => readFrom(bare),
      raw: async () => (await runLoad('raw-read', redis.path, keyFile, connections, seconds)).rate,
    })
    const floor = ({ bare, raw }) => inSeries(bare, raw)
    return [
      { name: 'gateway, per second', values: results.map((each) => each.gateway) },
      { name: '(a) bare Fastify route, same response, per second', values: results.map((each) => each.bare) },
      { name: '(b) raw HMGET, per second', values: results.map((each) => each.raw) },
      {
        name: 'gateway / serial floor 1/(1/a+1/b)',
        values: results.map((each) => each.gateway / floor(each)),
        digits: 2,
        must: 0.75,
        goal: 0.9,
      },
    ]
  } finally {
    await lab.close()
  }
}
