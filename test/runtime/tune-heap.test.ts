// V8's settings: one that V8 does not know is ignored with a line on standard error.

import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import t from 'tap'
import { childEnvironment } from '../helpers/child-environment.js'

const run = promisify(execFile)
const tuneHeap = new URL('../../src/runtime/tune-heap.ts', import.meta.url).href

t.test('V8 knows what it is told', async (t) => {
  const program = `import { tuneHeap } from ${JSON.stringify(tuneHeap)}; tuneHeap()`
  const args = ['--import', 'tsx', '--input-type=module', '--eval', program]
  const { stdout, stderr } = await run(process.execPath, args, { env: childEnvironment() })
  t.same([stdout, stderr], ['', ''])
})
