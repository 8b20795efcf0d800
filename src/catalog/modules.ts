// Registers what the modules of JOB_TYPES_DIR declare, and gives the registered types what runs them in this process.

import type { Logger } from 'pino'
import { fingerprint } from '../idempotency/fingerprint.js'
import { classifyRedisError } from '../redis/failures.js'
import { openDuty } from '../runtime/duty.js'
import type { Scope } from '../runtime/scope.js'
import type { JobType } from '../types/definition.js'
import type { DeclaredType } from '../types/modules/declare.js'
import type { Catalog } from './catalog.js'
import type { TypeFollower } from './follow.js'
import type { RegisterOutcome } from './register.js'

/** As long as Redis is away, it is tried this often; and looked this often whether Redis has lost what was registered. */
const retryMs = 1000
/** Stands in the audit trail for the key that registered a type. */
const byModule = 'module'

/** A type that a module of this process declares is run by it. */
export const createCompletion = (modules: readonly DeclaredType[]) => {
  const runs = new Map(modules.map(({ name, run }) => [name, run]))
  return (type: JobType): JobType => {
    const run = type.registered?.runs.by === 'module' ? runs.get(type.name) : undefined
    return run ? { ...type, run } : type
  }
}

interface Deps {
  readonly catalog: Pick<Catalog, 'readHead' | 'readVersion' | 'readVersionNumbers' | 'register'>
  readonly follower: Pick<TypeFollower, 'isBlank' | 'isLoaded' | 'load'>
  readonly log: Logger
  readonly modules: readonly DeclaredType[]
}

/**
 * Registers every module once Redis answers: before it returns, as a rule. Throws with one readable line when a module cannot be
 * registered; when Redis comes later, that line is logged and the type stays as it is. Registers all again once Redis has lost all types:
 * nobody else would. One that was deleted stays so until the next start.
 */
export const openModuleRegistration = async (deps: Deps, scope: Scope): Promise<void> => {
  const { follower, log, modules } = deps
  if (modules.length === 0) return
  const open = [...modules]
  const registerNext = async (): Promise<void> => {
    for (let declared = open[0]; declared; declared = open[0]) {
      await register(declared, deps)
      open.shift()
    }
    if (!follower.isLoaded()) await follower.load()
  }
  try {
    await registerNext()
  } catch (error) {
    if (classifyRedisError(error) === null) throw error
  }
  /** Once for each time that Redis has lost them, however that ends. */
  let isNoticed = false
  const registerLost = async (): Promise<void> => {
    const isLost = follower.isBlank()
    if (isLost && !isNoticed && open.length === 0) {
      log.warn('Redis has lost the registered job types; registering the modules of JOB_TYPES_DIR again')
      isNoticed = true
      open.push(...modules)
    }
    if (open.length > 0) await registerNext()
    isNoticed = follower.isBlank()
  }
  await scope.open('module registration', () =>
    openDuty(
      {
        name: 'module-registration',
        everyMs: retryMs,
        run: async () => {
          try {
            await registerLost()
          } catch (error) {
            if (classifyRedisError(error) !== null) throw error
            log.error({ error: (error as Error).message }, 'a module of JOB_TYPES_DIR cannot be registered')
            open.shift()
          }
        },
        failure: 'registering the modules of JOB_TYPES_DIR failed',
        unref: true,
        canEnd: () => false,
      },
      { log },
    ),
  )
}

const register = async (declared: DeclaredType, { catalog, log }: Deps): Promise<void> => {
  const { name, file, body } = declared
  if (await isEarlier(declared, catalog)) {
    log.warn({ type: name, file }, 'a newer version of this module is registered; its contract counts here too')
    return
  }
  const outcome = await catalog.register({ name, body, by: byModule, preconditions: {}, isDryRun: false, isForced: false })
  const fault = toFault(outcome)
  if (fault !== null) throw new Error(`JOB_TYPES_DIR: ${file}: ${fault}`)
  if (outcome.kind === 'created' || outcome.kind === 'updated') log.info({ type: name, version: outcome.head.version }, 'module registered')
}

/** While a deployment rolls, both versions of a module run: the older one must not take the place of the newer. */
const isEarlier = async ({ name, body }: DeclaredType, catalog: Deps['catalog']): Promise<boolean> => {
  const head = await catalog.readHead(name)
  const digest = fingerprint('job-type', body)
  if (!head || head.head.digest === digest) return false
  for (const number of await catalog.readVersionNumbers(name)) {
    const version = await catalog.readVersion(name, number)
    if (version && fingerprint('job-type', version.definition) === digest) return true
  }
  return false
}

const toFault = (outcome: RegisterOutcome): string | null => {
  switch (outcome.kind) {
    case 'incompatible': {
      const [first] = outcome.incompatibilities
      return `is not compatible with version ${outcome.version} of the type: ${first?.pointer} ${first?.detail}`
    }
    case 'in-use':
      return `is not compatible with earlier versions, and ${outcome.usage.jobs} jobs and ${outcome.usage.schedules} schedules still need them`
    case 'full':
      return outcome.of === 'types' ? 'there are as many job types as JOB_TYPES_MAX allows' : 'the type has too many versions'
    case 'refused':
      return `${outcome.faults[0]?.pointer} ${outcome.faults[0]?.detail}`
    case 'reserved':
      return 'its name is reserved'
    case 'precondition-failed':
    case 'created':
    case 'updated':
    case 'unchanged':
      return null
  }
}
