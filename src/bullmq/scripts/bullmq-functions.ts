// BullMQ's own Lua for adding and reprocessing jobs, made callable from inside a larger script of ours.

import { endOfObliterateFunctions, helperFunction, loadScript, unpackedArguments, unpackedFinish, unpackedOptions } from '../facts.js'

/**
 * Wraps a script's text into a local Lua function that takes KEYS and ARGV.
 * Its helpers are made with the first call in a script: making them with every call took a tenth of the time of adding a job.
 * Throws when BullMQ's text is not what this was written for, so that an upgrade fails at start and not in Redis.
 */
const toFunction = (name: string, content: string, replaced: readonly (readonly [string, string])[]): string => {
  const text = replaced.reduce((changed, [from, to]) => {
    if (changed.split(from).length !== 2) throw new Error(`BullMQ's script ${name} has changed: expected "${from}" once`)
    return changed.replace(from, to)
  }, content)
  const helpers = text.match(helperFunction) ?? []
  return `
local ${name}
${name} = function(...)
${name} = (function()
local rcall = redis.call
${helpers.join('\n')}
return function(KEYS, ARGV)
${text.replace(helperFunction, '')}
end
end)()
return ${name}(...)
end
`
}

const addReplacements = [
  [unpackedArguments, 'ARGV[1]'],
  [unpackedOptions, 'ARGV[3]'],
] as const

/**
 * Lua functions `addPrioritizedJob`, `addDelayedJob`, `addParentJob`: KEYS as in BullMQ's scripts of that name;
 * ARGV[1] the table of arguments, ARGV[2] the data as JSON, ARGV[3] the table of options.
 */
export const addJobFunctions = [loadScript('addPrioritizedJob', 9), loadScript('addDelayedJob', 6), loadScript('addParentJob', 6)]
  .map(({ name, content }) => toFunction(name, content, addReplacements))
  .join('')

/** Lua function `reprocessJob`, as BullMQ's script of that name. */
export const reprocessJobFunction = toFunction('reprocessJob', loadScript('reprocessJob', 9).content, [])

/** Lua function `releaseParentIfNoPendingDependencies`, as BullMQ's script of that name. */
export const releaseParentFunction = toFunction(
  'releaseParentIfNoPendingDependencies',
  loadScript('releaseParentIfNoPendingDependencies', 2).content,
  [],
)

/** Lua function `promote`, as BullMQ's script of that name. */
export const promoteFunction = toFunction('promote', loadScript('promote', 9).content, [])

/** Lua function `moveToActive`, as BullMQ's script of that name; ARGV[3] is the table of options. */
export const moveToActiveFunction = toFunction('moveToActive', loadScript('moveToActive', 11).content, [[unpackedOptions, 'ARGV[3]']])

/**
 * Lua functions that end the hold on a job, as BullMQ's scripts of these names: `moveToFinished`, of which ARGV[8] is the table of
 * options; `moveToDelayed`, `retryJob`, `moveJobFromActiveToWait`. Fields to update are '' for none, and no next job is fetched.
 */
export const endHoldFunctions = [
  toFunction('moveToFinished', loadScript('moveToFinished', 14).content, [[unpackedFinish, 'ARGV[8]']]),
  toFunction('moveToDelayed', loadScript('moveToDelayed', 11).content, []),
  toFunction('retryJob', loadScript('retryJob', 11).content, []),
  toFunction('moveJobFromActiveToWait', loadScript('moveJobFromActiveToWait', 9).content, []),
].join('')

/** Lua functions `addLog` and `updateProgress`, as BullMQ's scripts of these names. */
export const noteFunctions = [
  toFunction('addLog', loadScript('addLog', 2).content, []),
  toFunction('updateProgress', loadScript('updateProgress', 3).content, []),
].join('')

const [removeFunctions, removeWork] = loadScript('obliterate', 2).content.split(endOfObliterateFunctions)
if (removeFunctions === undefined || removeWork === undefined) {
  throw new Error(`BullMQ's script obliterate has changed: expected "${endOfObliterateFunctions}" once`)
}

/**
 * Lua function `createRemoveJob(base)`: gives a function that deletes all keys of the job with a given id, but not its entry in
 * a set. A parent in the same queue whose last pending child goes is removed as well.
 */
export const createRemoveJobFunction = `
local function createRemoveJob(base)
  local KEYS, ARGV = { '', base }, { '0' }
  ${removeFunctions}
  return function(id) removeJob(id, true, baseKey, true) end
end
`
