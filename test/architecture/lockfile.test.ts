// Holds package-lock.json to what `npm ci` accepts on every platform.

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { missingEntries } from '../../scripts/complete-lockfile.mjs'
import { root } from '../helpers/source-files.js'

const lock = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8'))

t.test('lists the optional packages of every platform (else: node scripts/complete-lockfile.mjs)', async (t) => {
  t.same(Object.keys(missingEntries(lock)), [])
})

t.test('names no registry', async (t) => {
  t.notMatch(JSON.stringify(lock), /"resolved":"https?:/)
})

t.test('the check sees a platform package that was dropped', async (t) => {
  const cut = {
    packages: {
      '': {},
      'node_modules/tool': {
        dev: true,
        optionalDependencies: { 'tool-linux-x64-musl': '1.2.3', 'tool-darwin-arm64': '1.2.3', fsevents: '^2.0.0' },
      },
      'node_modules/tool-darwin-arm64': { version: '1.2.3' },
    },
  }
  t.same(missingEntries(cut), {
    'node_modules/tool-linux-x64-musl': { version: '1.2.3', cpu: ['x64'], libc: ['musl'], os: ['linux'], dev: true, optional: true },
  })
})
