// The product's own `serve`, with its address printed for the benchmark. SIGWINCH collects garbage: what is measured then is held.

import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { serve } from '../../dist/cli/serve.js'

process.on('SIGWINCH', () => {
  setFlagsFromString('--expose_gc')
  runInNewContext('gc')()
})
process.stdout.write(`${JSON.stringify({ address: await serve() })}\n`)
