// The gateway, or a worker of it alone (WORKER_ONLY=true), with one more job type: one whose handler does nothing.

import { createJobTypes } from '../../dist/types/registry.js'
import { noop } from '../noop-type.mjs'

const jobTypes = createJobTypes([noop])
const run = {
  serve: async () => (await import('../../dist/cli/serve.js')).serve(jobTypes),
  worker: async () => {
    await (await import('../../dist/cli/work.js')).work(jobTypes)
    return 'none'
  },
}
process.stdout.write(`${JSON.stringify({ address: await run[process.env.WORKER_ONLY === 'true' ? 'worker' : 'serve']() })}\n`)
