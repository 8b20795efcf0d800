// Lets exactly one process at a time run an embedded Redis on a data directory, and tells the others who does.

import { createHash } from 'node:crypto'
import { closeSync, constants, openSync } from 'node:fs'
import { lstat, mkdir, mkdtemp, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'

/** Linux takes 107 bytes, macOS 103. */
const socketPathBytesMax = 100
/** A server whose gateway was killed has this long to write its file and go. */
const predecessorTimeoutMs = 30_000
const pollMs = 10
/** A claim is made within milliseconds; one that lies about longer belongs to a process that was killed in between. */
const abandonedAfterMs = 60_000

/**
 * How it works. Every run has a directory `run-<n>` with two pipes and `lock.json`. The owner holds `owner` open for reading,
 * the server and its watchdog hold `server`: the kernel lets go of both at death, whatever the cause, and process ids, which
 * are used again after a container restarts, decide nothing. A run whose `owner` is let go is followed by `run-<n+1>`:
 * renaming a directory to a name in use fails, so one of many starters wins. The latest run is never removed, only older ones.
 */
interface Run {
  number: number
  pid: number
  socketPath: string
  alive: boolean
}

/** The latest run on this directory, or undefined when there was none. `alive` tells whether its owner still lives. */
export const findOwner = async (dir: string): Promise<Run | undefined> => {
  const number = (await listRuns(dir)).at(-1)
  if (number === undefined) return undefined
  const { pid, socketPath } = await readLock(join(dir, runName(number)))
  return { number, pid, socketPath, alive: isHeld(join(dir, runName(number), 'owner')) }
}

/**
 * Takes the directory, and waits until the server of a killed predecessor has gone.
 * Out: `serverFd` is for the child server to inherit; `handedOver` closes this side of it; `release` gives the directory back.
 * Throws an Error with one readable line when another process holds it.
 */
export const claimDataDir = async (options: {
  dataDir: string
  dir: string
  socketPath: string
  makeFifos: (paths: string[]) => Promise<void>
}) => {
  const { dataDir, dir, socketPath, makeFifos } = options
  const draft = await mkdtemp(join(dir, 'claim-'))
  const held: number[] = []
  const letGo = () => {
    for (const fd of held.splice(0)) closeSync(fd)
  }
  try {
    await makeFifos([join(draft, 'owner'), join(draft, 'server')])
    await writeFile(join(draft, 'lock.json'), `${JSON.stringify({ pid: process.pid, socketPath })}\n`, { mode: 0o600 })
    for (const name of ['owner', 'server']) held.push(openSync(join(draft, name), constants.O_RDONLY | constants.O_NONBLOCK))
    const number = await moveIntoPlace(dataDir, dir, draft)
    await outlivePredecessors(dir, number)
  } catch (error) {
    letGo()
    await rm(draft, { recursive: true, force: true })
    throw error
  }
  const serverFd = held[1] as number
  return {
    serverFd,
    handedOver() {
      closeSync(serverFd)
      held.splice(held.indexOf(serverFd), 1)
    },
    async release() {
      letGo()
    },
  }
}

const moveIntoPlace = async (dataDir: string, dir: string, draft: string): Promise<number> => {
  for (;;) {
    const owner = await findOwner(dir)
    if (owner?.alive) {
      throw new Error(
        `${dataDir} is in use by process ${owner.pid}, which runs an embedded Redis there: ` +
          'stop it, choose another DATA_DIR, or set REDIS_URL so that both use one Redis',
      )
    }
    const number = (owner?.number ?? 0) + 1
    const place = join(dir, runName(number))
    try {
      await rename(draft, place)
    } catch (error) {
      if (['ENOTEMPTY', 'EEXIST'].includes((error as NodeJS.ErrnoException).code ?? '')) continue
      throw error
    }
    // A directory is not listed in one instant: a later run that the first look missed is seen by this one.
    if ((await listRuns(dir)).at(-1) === number) return number
    await rename(place, draft)
  }
}

const outlivePredecessors = async (dir: string, number: number) => {
  const deadline = Date.now() + predecessorTimeoutMs
  for (const earlier of (await listRuns(dir)).filter((each) => each < number)) {
    const place = join(dir, runName(earlier))
    while (isHeld(join(place, 'server'))) {
      if (Date.now() > deadline) {
        throw new Error(`An orphaned embedded Redis on ${dir} does not exit: stop the redis-server that uses this folder`)
      }
      await pause(pollMs)
    }
    await rm(place, { recursive: true, force: true })
  }
  for (const name of await readdir(dir)) {
    if (!name.startsWith('claim-')) continue
    const { mtimeMs } = await lstat(join(dir, name)).catch(() => ({ mtimeMs: Date.now() }))
    if (Date.now() - mtimeMs > abandonedAfterMs) await rm(join(dir, name), { recursive: true, force: true })
  }
}

const runName = (number: number) => `run-${number}`

const listRuns = async (dir: string): Promise<number[]> => {
  const names = await readdir(dir).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return []
    throw error
  })
  return names
    .map((name) => Number(/^run-(\d+)$/.exec(name)?.[1]))
    .filter((number) => !Number.isNaN(number))
    .sort((a, b) => a - b)
}

const readLock = async (place: string): Promise<{ pid: number; socketPath: string }> => {
  try {
    return JSON.parse(await readFile(join(place, 'lock.json'), 'utf8'))
  } catch (error) {
    // Removed by a newer owner, or never written to the disk: whether it is alive, the pipes tell.
    if (error instanceof SyntaxError || (error as NodeJS.ErrnoException).code === 'ENOENT') return { pid: 0, socketPath: '' }
    throw error
  }
}

/** Opening a pipe for writing fails when nobody has it open for reading. */
const isHeld = (fifo: string): boolean => {
  try {
    closeSync(openSync(fifo, constants.O_WRONLY | constants.O_NONBLOCK))
    return true
  } catch (error) {
    if (['ENXIO', 'ENOENT'].includes((error as NodeJS.ErrnoException).code ?? '')) return false
    throw error
  }
}

/**
 * Where the socket goes: into `dir`, or, when that path is too long for a socket, into a directory of our own among the
 * temporary files, the same one at every start so that a worker finds the server again. Nobody else may look into either.
 */
export const requireShortSocketPath = async (dir: string): Promise<string> => {
  const near = join(dir, 'redis.sock')
  if (Buffer.byteLength(near) <= socketPathBytesMax) return near
  const digest = createHash('sha256').update(dir).digest('hex').slice(0, 16)
  const elsewhere = join(tmpdir(), `jobgate-${digest}`)
  await mkdir(elsewhere, { mode: 0o700 }).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'EEXIST') throw error
  })
  const found = await lstat(elsewhere)
  if (!found.isDirectory() || found.uid !== process.getuid?.() || (found.mode & 0o077) !== 0) {
    throw new Error(`${elsewhere}, the folder for the socket of the embedded Redis, belongs to another user: choose a shorter DATA_DIR`)
  }
  const path = join(elsewhere, 'redis.sock')
  if (Buffer.byteLength(path) > socketPathBytesMax) throw new Error(`${dir} is too long for a socket: choose a shorter DATA_DIR`)
  return path
}
