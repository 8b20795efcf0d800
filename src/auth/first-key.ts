// The first API key, with every scope: given by the operator, or minted at first start and kept beside the data.

import { randomUUID } from 'node:crypto'
import { chmod, link, mkdir, readFile, stat, unlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type Principal, scopes } from './grants.js'
import { mintKey, mintKeyId } from './key-format.js'

/** Who calls with the first key. It is no record in Redis, so nothing can rotate or revoke it but the operator's settings. */
export const firstPrincipal: Principal = {
  keyId: 'admin',
  name: 'First key',
  tenant: 'default',
  scopes: new Set(scopes),
  types: null,
  queues: null,
  rateLimitMax: null,
}

export interface FirstKey {
  readonly key: string
  /** True at the one start that minted it: print it then, and never again. */
  readonly minted: boolean
  /** File that keeps it; null when it comes from the configuration. */
  readonly path: string | null
}

/**
 * Takes ADMIN_API_KEY if there is one; else reads `admin-api-key` in `dataDir`, or mints it there with mode 0600.
 * Two processes that start at once agree on one key.
 * Throws when the file cannot be read or written, or holds something else.
 */
export const openFirstKey = async (settings: { adminApiKey: string | undefined; dataDir: string }): Promise<FirstKey> => {
  if (settings.adminApiKey !== undefined) return { key: settings.adminApiKey, minted: false, path: null }
  const path = join(settings.dataDir, 'admin-api-key')
  const kept = await readKept(path)
  if (kept !== null) return { key: kept, minted: false, path }

  await mkdir(settings.dataDir, { recursive: true, mode: 0o700 })
  const key = mintKey(mintKeyId(Date.now()))
  // Written aside and linked into place: a reader never sees half a key, and the first of two writers wins.
  const draft = `${path}.${randomUUID()}`
  await writeFile(draft, `${key}\n`, { mode: 0o600, flag: 'wx' })
  try {
    await link(draft, path)
    return { key, minted: true, path }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
    const winner = await readKept(path)
    if (winner === null) throw error
    return { key: winner, minted: false, path }
  } finally {
    await unlink(draft)
  }
}

const readKept = async (path: string): Promise<string | null> => {
  let text: string
  try {
    text = await readFile(path, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null
    throw error
  }
  const key = text.trim()
  if (!/^[\x21-\x7e]{8,512}$/.test(key)) throw new Error(`${path} does not contain an API key; delete the file to generate a new one`)
  // A copy or a restored backup may have opened the file to others.
  if (((await stat(path)).mode & 0o077) !== 0) await chmod(path, 0o600)
  return key
}
