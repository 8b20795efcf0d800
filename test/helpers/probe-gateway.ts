// A gateway or worker process whose job types are the probes: for tests in which a process has to die.
// Usage: node --import tsx probe-gateway.ts serve|worker. RUN_LOG names the file that gets a line before and after every run.
// RUN_LOG_AHEAD_MS is how far its clock was put ahead: the file tells the right time all the same.
// REDIS_PATIENCE stretches the deadlines of the request side.
// Lines on its standard input release what is blocked; when it ends, the test is gone and so is this process.

import { closeSync, fsyncSync, openSync, writeSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { loadBuiltinConfig } from '../../src/builtin/config.js'
import type { RunnableJobType } from '../../src/types/definition.js'
import { createJobTypes } from '../../src/types/registry.js'
import { createProbes } from './probe-job-types.js'
import type { RunLine } from './run-log.js'

const [command] = process.argv.slice(2)
const probes = createProbes({ keepsRuns: false })

const now = () => Date.now() - Number(process.env.RUN_LOG_AHEAD_MS ?? 0)

/** On the disk before the next step, whatever becomes of this process. */
const note = (line: RunLine) => {
  const file = openSync(process.env.RUN_LOG as string, 'a')
  writeSync(file, `${JSON.stringify(line)}\n`)
  fsyncSync(file)
  closeSync(file)
}

const recorded = (type: RunnableJobType): RunnableJobType => ({
  ...type,
  run: async (data, ctx) => {
    const about = { jobId: ctx.jobId, label: data.label as string, attempt: ctx.attempt, pid: process.pid }
    note({ ...about, at: now(), what: 'start' })
    // A job that takes its worker along.
    if (type.name === 'poison') process.kill(process.pid, 'SIGKILL')
    ctx.signal.addEventListener('abort', () => note({ ...about, at: now(), what: 'abort', reason: String(ctx.signal.reason) }))
    const outcome = await type.run(data, ctx)
    note({ ...about, at: now(), what: 'end', outcome: outcome.kind })
    return outcome
  },
})

const input = createInterface({ input: process.stdin })
input.on('line', (label) => probes.release(label))
input.on('close', () => process.kill(process.pid, 'SIGKILL'))

const [echo] = probes.types as [RunnableJobType]
const jobTypes = createJobTypes([
  ...[
    ...probes.types,
    { ...echo, name: 'poison', description: 'Probe: poison.' },
    // In a queue that can be paused by itself.
    { ...echo, name: 'held', queue: 'meeting' as const, description: 'Probe: held.' },
  ].map(recorded),
  // In another queue, for backlogs: a file of a million runs would be what is measured.
  { ...echo, name: 'bulk', queue: 'email', description: 'Probe: bulk.' },
])
const loaded = loadBuiltinConfig()
const config = { ...loaded, redis: { ...loaded.redis, patience: Number(process.env.REDIS_PATIENCE ?? 1) } }
const run = {
  serve: async () => (await import('../../src/cli/serve.js')).serve(jobTypes, config),
  // Imported only where it is run: a worker starts in half the time without the HTTP side.
  worker: async () => (await import('../../src/cli/work.js')).work(jobTypes, config).then(() => ''),
}[command as 'serve' | 'worker']
process.stdout.write(`${JSON.stringify({ address: await run() })}\n`)
