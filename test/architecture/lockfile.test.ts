// Holds package-lock.json to what `npm ci` accepts on every platform.

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { missingEntries, unhashed } from '../../scripts/complete-lockfile.mjs'
import { root } from '../helpers/source-files.js'

const lock = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8'))

t.test('lists the optional packages of every platform (else: node scripts/complete-lockfile.mjs)', async (t) => {
  t.same(Object.keys(missingEntries(lock)), [])
})

t.test('pins the content of every package by a SHA-512 (else: node scripts/complete-lockfile.mjs)', async (t) => {
  t.ok(Object.keys(lock.packages).length > 500)
  t.same(unhashed(lock), [])
})

t.test('names no registry: packages come from the one that npm is told to use, and the hash says whether they are right', async (t) => {
  const resolved = Object.values<{ resolved?: string }>(lock.packages).flatMap(({ resolved: from }) => from ?? [])
  t.same(resolved, [])
})

t.test('the check sees a package without a hash, with a weak one and with half a one', async (t) => {
  const whole = `sha512-${'A'.repeat(86)}==`
  const packages = {
    '': {},
    'node_modules/good': { integrity: whole },
    'node_modules/bare': {},
    'node_modules/weak': { integrity: 'sha1-2jmj7l5rSw0yVb/vlWAYkK/YBwk=' },
    'node_modules/good/node_modules/half': { integrity: 'sha512-AAAA' },
  }
  t.same(unhashed({ packages }), ['node_modules/bare', 'node_modules/weak', 'node_modules/good/node_modules/half'])
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
