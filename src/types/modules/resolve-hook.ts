// Lets a module anywhere on the disk import `jobgate/job-type`, and get this very copy of it, whatever is installed beside it.

import * as nodeModule from 'node:module'
import { fileURLToPath } from 'node:url'

const specifier = 'jobgate/job-type'

interface Resolved {
  readonly url: string
  readonly shortCircuit?: boolean
}
type Resolve = (wanted: string, context: object, next: (wanted: string, context: object) => Resolved) => Resolved

/** What Node's own types leave out. `_resolveFilename` is what `require` asks, and what loaders of TypeScript build upon. */
interface ModuleInternals {
  readonly registerHooks?: (hooks: { readonly resolve: Resolve }) => unknown
  readonly Module: { _resolveFilename(wanted: string, ...rest: unknown[]): string }
}

/** Runs on a thread of its own, so it brings all it needs. */
const threadSource = `let target
export const initialize = (data) => { target = data }
export const resolve = (wanted, context, next) =>
  wanted === ${JSON.stringify(specifier)} ? { url: target, shortCircuit: true } : next(wanted, context)`

let isHooked = false

/** Holds for the whole process, like every hook of Node's: further calls change nothing. */
export const resolveJobTypeImports = (): void => {
  if (isHooked) return
  isHooked = true
  // From source the file ends in `.ts`, as this one does.
  const target = new URL(`./job-type${import.meta.url.endsWith('.ts') ? '.ts' : '.js'}`, import.meta.url).href
  const { registerHooks, Module } = nodeModule as unknown as ModuleInternals
  if (registerHooks) {
    registerHooks({
      resolve: (wanted, context, next) => (wanted === specifier ? { url: target, shortCircuit: true } : next(wanted, context)),
    })
    return
  }
  // Node 20 has hooks for `import` alone, on a thread that begins with the first of them.
  nodeModule.register(`data:text/javascript,${encodeURIComponent(threadSource)}`, { data: target })
  const original = Module._resolveFilename
  Module._resolveFilename = function (this: unknown, wanted, ...rest) {
    return wanted === specifier ? fileURLToPath(target) : original.call(this as typeof Module, wanted, ...rest)
  }
}
