// Calls at a steady rate, whether or not earlier ones have ended: a closed loop would hide what queues up.

import { setTimeout as pause } from 'node:timers/promises'

/** Share of the calls at the start that only warm up. */
const warmUp = 0.2

const percentile = (sorted, share) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))]

/** Resolves with p50 and p99 of the time from when a call was due to its end, in milliseconds. Rejects when a call does. */
export const openLoop = async (call, { rate, seconds }) => {
  const total = Math.round(rate * seconds)
  const started = performance.now()
  const calls = []
  for (let n = 0; n < total; n++) {
    const due = started + (n * 1000) / rate
    const early = due - performance.now()
    if (early > 0) await pause(early)
    calls.push(call(n).then(() => performance.now() - due))
  }
  const took = (await Promise.all(calls)).slice(Math.floor(total * warmUp)).sort((a, b) => a - b)
  return { p50: percentile(took, 0.5), p99: percentile(took, 0.99) }
}
