// Preloaded into the gateway: on SIGWINCH, which means nothing to it, it throws away what it no longer needs, as it would once its heap were full. What is left after
// that, somebody holds.

import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc')

process.on('SIGWINCH', () => {
  // What is closed by the first round is freed by the second.
  collect()
  setImmediate(collect)
})
