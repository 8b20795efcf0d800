// The first key: taken from the configuration, or minted once into the data directory.

import { chmod, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { openFirstKey } from '../../src/auth/first-key.js'
import { toKeyId } from '../../src/auth/key-format.js'

type Scope = { after(handler: () => unknown): void }

const temporaryDir = async (t: Scope) => {
  const dir = await mkdtemp(join(tmpdir(), 'jg-'))
  t.after(() => rm(dir, { recursive: true, force: true }))
  return dir
}

t.test('ADMIN_API_KEY is taken as it is and nothing is written', async (t) => {
  const dataDir = await temporaryDir(t)
  t.same(await openFirstKey({ adminApiKey: 'chosen-by-me', dataDir }), { key: 'chosen-by-me', minted: false, path: null })
  t.same(await readdir(dataDir), [])
})

t.test('a key is minted once, for the owner alone, and used again', async (t) => {
  const dataDir = join(await temporaryDir(t), 'new', 'data')
  const first = await openFirstKey({ adminApiKey: undefined, dataDir })
  t.equal(first.minted, true)
  t.equal(first.path, join(dataDir, 'admin-api-key'))
  t.match(toKeyId(first.key), /^[0-9A-Za-z]{16}$/)
  t.equal((await stat(first.path as string)).mode & 0o777, 0o600)
  t.equal((await stat(dataDir)).mode & 0o777, 0o700)
  t.same(await openFirstKey({ adminApiKey: undefined, dataDir }), { ...first, minted: false })
  t.same(await readdir(dataDir), ['admin-api-key'], 'no draft is left')
})

t.test('processes that start at once agree on one key', async (t) => {
  const dataDir = await temporaryDir(t)
  const opened = await Promise.all(Array.from({ length: 8 }, () => openFirstKey({ adminApiKey: undefined, dataDir })))
  t.equal(new Set(opened.map(({ key }) => key)).size, 1)
  t.equal(opened.filter(({ minted }) => minted).length, 1)
  t.equal((await readFile(join(dataDir, 'admin-api-key'), 'utf8')).trim(), opened[0]?.key)
  t.same(await readdir(dataDir), ['admin-api-key'])
})

t.test('a file that others can read is closed to them', async (t) => {
  const dataDir = await temporaryDir(t)
  const path = join(dataDir, 'admin-api-key')
  await writeFile(path, 'put-here-by-hand\n')
  await chmod(path, 0o644)
  t.same(await openFirstKey({ adminApiKey: undefined, dataDir }), { key: 'put-here-by-hand', minted: false, path })
  t.equal((await stat(path)).mode & 0o777, 0o600)
})

t.test('a file that holds no key stops the start and is not repeated', async (t) => {
  const dataDir = await temporaryDir(t)
  await writeFile(join(dataDir, 'admin-api-key'), 'two words')
  await t.rejects(openFirstKey({ adminApiKey: undefined, dataDir }), /admin-api-key does not contain an API key/)
  await t.rejects(
    openFirstKey({ adminApiKey: undefined, dataDir }).catch((error: Error) => {
      throw error.message.includes('two words') ? new Error('repeated') : error
    }),
    /does not contain an API key/,
  )
})
