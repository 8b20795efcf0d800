// Runs `npm run demo` as it stands: every job type completes with its proof, and no secret is found where none belongs.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { text } from 'node:stream/consumers'
import t from 'tap'
import { builtinTypes } from '../../src/builtin/builtin.js'
import { root } from '../helpers/source-files.js'

t.test('the demo takes every job type end to end and leaves no secret behind', async (t) => {
  const child = spawn(process.execPath, ['scripts/demo.mjs'], { cwd: root, stdio: ['ignore', 'pipe', 'pipe'] })
  const exited = once(child, 'exit')
  const [out, err, [status]] = await Promise.all([text(child.stdout), text(child.stderr), exited])
  t.equal(status, 0, `${out}${err}`)
  for (const { name } of builtinTypes) t.match(out, new RegExp(`^${name} +completed {2}`, 'm'))
  t.match(out, `${builtinTypes.length} of ${builtinTypes.length} job types completed with proof, 0 secrets found`)
})
