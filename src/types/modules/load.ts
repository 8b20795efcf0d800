// Reads JOB_TYPES_DIR at start: every module in it declares one job type.

import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { withDeadline } from '../../runtime/deadline.js'
import type { JobTypes } from '../registry.js'
import { type DeclaredType, declareType } from './declare.js'
import { resolveJobTypeImports } from './resolve-hook.js'

/** A module that waits for something at its top level may take this long. */
const loadMsMax = 30_000

const isModule = (name: string): boolean => /\.(?:js|mjs|ts)$/.test(name) && !name.endsWith('.d.ts') && !name.startsWith('.')

/** Node strips types by itself from 22.18 on; when Jobgate runs from source, whatever runs it does the same for modules. */
const canStripTypes = (): boolean => Boolean((process.features as { typescript?: unknown }).typescript) || import.meta.url.endsWith('.ts')

/**
 * Loads the modules directly in `dir`, in the order of their names. Folders below it are not looked into. No `dir`: no modules.
 * Out: what they declare, in the same order. Rejects with one readable line that names the first broken module and what is wrong.
 */
export const loadTypeModules = async (
  dir: string | undefined,
  jobTypes: Pick<JobTypes, 'isBuiltin' | 'isReserved'>,
  { stripsTypes = canStripTypes(), loadMs = loadMsMax } = {},
): Promise<readonly DeclaredType[]> => {
  if (dir === undefined) return []
  const files = listModules(dir)
  if (files.length > 0) resolveJobTypeImports()
  const byName = new Map<string, DeclaredType>()
  for (const file of files) {
    if (file.endsWith('.ts') && !stripsTypes)
      throw broken(file, `TypeScript needs Node.js 22.18 or newer; this is ${process.versions.node}`)
    const declaration = declareType(await importDefault(join(dir, file), file, loadMs), file, jobTypes)
    if (declaration.kind === 'refused') throw broken(file, declaration.reason)
    const { declared } = declaration
    const other = byName.get(declared.name)
    if (other) throw broken(file, `${declared.name} is already the name of the job type in ${other.file}`)
    byName.set(declared.name, declared)
  }
  return [...byName.values()]
}

const broken = (file: string, reason: string): Error => new Error(`JOB_TYPES_DIR: ${file}: ${reason}`)

const listModules = (dir: string): string[] => {
  try {
    return readdirSync(dir, { withFileTypes: true })
      .filter((entry) => !entry.isDirectory() && isModule(entry.name))
      .map(({ name }) => name)
      .sort()
  } catch (error) {
    throw new Error(`JOB_TYPES_DIR: cannot read ${dir} (${(error as NodeJS.ErrnoException).code})`)
  }
}

const importDefault = async (path: string, file: string, loadMs: number): Promise<unknown> => {
  const loading = import(pathToFileURL(path).href) as Promise<{ default?: unknown }>
  const loaded = await withDeadline(loading, loadMs, null).catch((error: unknown) => {
    throw broken(file, toReason(error))
  })
  if (loaded === null) throw broken(file, `does not finish loading within ${loadMs} ms`)
  return loaded.default
}

/** One line. Node names the place of a syntax error only when nobody catches it. */
const toReason = (error: unknown): string => {
  if (!(error instanceof Error)) return `throws ${String(error)} when it is loaded`
  const [first = '', second = ''] = error.message.split('\n')
  const hint = error instanceof SyntaxError ? ' (`node --check` shows where)' : ''
  return `${error.name}: ${first.endsWith(':') ? `${first} ${second}` : first}${hint}`
}
