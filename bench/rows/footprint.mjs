// Start to ready, and resident memory at rest.

import { setTimeout as pause } from 'node:timers/promises'
import { memoryOf, openLab } from '../lab.mjs'

const mib = 1024 * 1024
const restMs = 3000

export const title = 'Start and rest'

export const run = async ({ rounds }) => {
  const lab = await openLab()
  try {
    const redis = await lab.startRedis()
    const results = []
    for (let round = 0; round <= rounds; round++) {
      const started = performance.now()
      const gateway = await lab.startGateway(redis)
      const startMs = performance.now() - started
      await pause(restMs)
      const { now } = memoryOf(gateway.pid)
      await gateway.close()
      if (round > 0) results.push({ startMs, now })
    }
    return [
      {
        name: 'start to ready with Redis up, s',
        values: results.map((each) => each.startMs / 1000),
        digits: 2,
        must: 1.5,
        goal: 0.7,
        atMost: true,
      },
      { name: 'idle resident memory, MiB', values: results.map((each) => each.now / mib), digits: 0, must: 150, goal: 110, atMost: true },
    ]
  } finally {
    await lab.close()
  }
}
