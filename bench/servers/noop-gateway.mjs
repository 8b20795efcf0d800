// The gateway, or a worker of it alone (WORKER_ONLY=true), with one more job type: one whose handler does nothing.

import { createCatalog } from '../../dist/types/registry.js'
import { noop } from '../noop-type.mjs'

const catalog = createCatalog([noop])
const run = {
  serve: async () => (await import('../../dist/cli/serve.js')).serve(catalog),
  worker: async () => {
    await (await import('../../dist/cli/worker.js')).work(catalog)
    return 'none'
  },
}
process.stdout.write(`${JSON.stringify({ address: await run[process.env.WORKER_ONLY === 'true' ? 'worker' : 'serve']() })}\n`)
