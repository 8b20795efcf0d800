// What the kernel says of a running process: Linux only.

import { readdir, readFile, readlink } from 'node:fs/promises'

export const residentBytes = async (pid: number): Promise<number> =>
  Number(/^VmRSS:\s+(\d+) kB/m.exec(await readFile(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0) * 1024

/** Open descriptors, and how many of them are sockets. */
export const openDescriptors = async (pid: number): Promise<{ descriptors: number; sockets: number }> => {
  const folder = `/proc/${pid}/fd`
  // One that is closed meanwhile has no target any more.
  const targets = await Promise.all((await readdir(folder)).map((name) => readlink(`${folder}/${name}`).catch(() => null)))
  const open = targets.filter((target) => target !== null)
  return { descriptors: open.length, sockets: open.filter((target) => target.startsWith('socket:')).length }
}
