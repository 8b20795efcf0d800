// Lets a module anywhere on the disk import `jobgate/job-type`, and get this very copy of it, whatever is installed beside it.

import * as nodeModule from 'node:module'

const specifier = 'jobgate/job-type'

type Resolved = { readonly url: string; readonly shortCircuit?: boolean }
type Resolve = (wanted: string, context: object, next: (wanted: string, context: object) => Resolved) => Resolved

/** Runs on a thread of its own, so it brings all it needs. */
const hooksSource = `let target
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
  const { registerHooks } = nodeModule as { registerHooks?: (hooks: { resolve: Resolve }) => unknown }
  if (registerHooks) {
    registerHooks({
      resolve: (wanted, context, next) => (wanted === specifier ? { url: target, shortCircuit: true } : next(wanted, context)),
    })
    return
  }
  // Node 20 has only hooks on a thread, which begins when the first one is registered.
  nodeModule.register(`data:text/javascript,${encodeURIComponent(hooksSource)}`, { data: target })
}
