// The product's own `serve`, with its address printed for the benchmark.

import { serve } from '../../dist/commands/serve.js'

process.stdout.write(`${JSON.stringify({ address: await serve() })}\n`)
