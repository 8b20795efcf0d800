// Gives a process a clock that is wrong by a fixed amount, through libfaketime (Debian package `faketime`).

import { execFileSync } from 'node:child_process'
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'

const base = '/usr/lib'

const find = (): string | undefined =>
  readdirSync(base)
    .map((name) => join(base, name, 'faketime', 'libfaketimeMT.so.1'))
    .find(existsSync)

/** The path of the library, which is installed where it is missing. Throws when that fails. */
const requireLibrary = (): string => {
  const found = find()
  if (found) return found
  execFileSync('apt-get', ['update', '-qq'], { stdio: 'ignore' })
  execFileSync('apt-get', ['install', '-y', '-qq', '--no-install-recommends', 'faketime'], { stdio: 'ignore' })
  const library = find()
  if (!library) throw new Error('libfaketime is missing although the package faketime is installed')
  return library
}

/** Environment of a process whose clock is `aheadMs` ahead; its timers go on as they should. */
export const clockAhead = (aheadMs: number): Record<string, string> => ({
  LD_PRELOAD: requireLibrary(),
  FAKETIME: `${aheadMs < 0 ? '-' : '+'}${Math.abs(aheadMs) / 1000}s`,
  FAKETIME_DONT_FAKE_MONOTONIC: '1',
  RUN_LOG_AHEAD_MS: String(aheadMs),
})
