// The job types that this process knows, by name and version, each with the validator of its data. They may change while it runs.

import type { JobType } from './definition.js'
import { type FieldProblem, toFieldProblems } from './field-problems.js'
import { builtinQueues, isReservedWord, type QueueName } from './queue-name.js'
import { createOwnValidator, type Validate } from './validator.js'

/** One version of a job type. */
export interface RegisteredType {
  readonly type: JobType
  /** Counts from 1; the data of a job fit the version under which it was accepted. */
  readonly version: number
  /** Checks data against the schema, which is compiled on the first call and dropped with the version. */
  readonly validate: Validate
  /** The same for a result. */
  readonly validateResult: Validate
}

/**
 * Starts with `types`, the built-in ones, as version 1 of each. Whoever derives something from all of them asks again when `revision`
 * is another, or is told by `onChange`; what is derived from one is kept by its `JobType` in a WeakMap, since another version is
 * another object.
 */
export const createJobTypes = (types: readonly JobType[] = []) => {
  /** Versions of each name, ascending; never empty. */
  const byName = new Map<string, readonly [RegisteredType, ...RegisteredType[]]>()
  const latest = new Map<string, RegisteredType>()
  const builtin: ReadonlySet<string> = new Set(types.map(({ name }) => name))
  const listeners = new Set<() => void>()
  let all: readonly JobType[] = []
  let queues: readonly QueueName[] = builtinQueues
  let revision = 0

  const setVersions = (name: string, versions: readonly RegisteredType[]): void => {
    const [first, ...others] = versions
    if (first) {
      byName.set(name, [first, ...others])
      latest.set(name, others.at(-1) ?? first)
    } else {
      byName.delete(name)
      latest.delete(name)
    }
  }

  const addVersion = (type: JobType, version: number): void => {
    const others = (byName.get(type.name) ?? []).filter((each) => each.version !== version)
    const versions = [...others, toRegistered(type, version)]
    setVersions(
      type.name,
      versions.sort((one, other) => one.version - other.version),
    )
  }

  const tellChange = (): void => {
    all = [...latest.values()].map(({ type }) => type)
    queues = sameOr(queues, [...new Set([...builtinQueues, ...all.map(({ queue }) => queue)])])
    revision++
    for (const listener of listeners) listener()
  }

  /** A registered version of a type; without a number the latest. */
  const get = (name: string, version?: number): RegisteredType | undefined =>
    version === undefined ? latest.get(name) : byName.get(name)?.find((each) => each.version === version)

  const jobTypes = {
    /** The latest version of each, in the order in which their names were registered; another list after every change. */
    get all(): readonly JobType[] {
      return all
    },
    /** The same with their numbers. */
    latest: (): readonly RegisteredType[] => [...latest.values()],
    /** Another number after every change. */
    get revision(): number {
      return revision
    },
    /**
     * The queues that are there: the built-in ones, and those of all types, in the order in which they came. Another list whenever
     * one came or went, and only then.
     */
    get queues(): readonly QueueName[] {
      return queues
    },
    /** Calls `listener`, which must not throw, right after every change; gives the function that ends it. */
    onChange(listener: () => void): () => void {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    /** Whether the registry began with a type of this name. */
    isBuiltin: (name: string): boolean => builtin.has(name),
    /** Whether no type may be registered at run time under this name: it is that of a built-in type, or means something else. */
    isReserved: (name: string): boolean => builtin.has(name) || isReservedWord(name),
    get,
    /** The definition of a registered version; without a number of the latest. */
    find: (name: string, version?: number): JobType | undefined => get(name, version)?.type,
    /** Registers one version of a type, in place of the one with the same number. */
    put(type: JobType, version = 1): void {
      addVersion(type, version)
      tellChange()
    },
    /** Forgets one version of a type, or all of them; whether there was one. Jobs and schedules of it stay where they are. */
    remove(name: string, version?: number): boolean {
      if (!get(name, version)) return false
      setVersions(name, version === undefined ? [] : (byName.get(name) ?? []).filter((each) => each.version !== version))
      tellChange()
      return true
    },
    /** Many changes as one: each of `types` takes the place of all versions of its type, and the types of `gone` are forgotten. */
    replace(types: readonly { readonly type: JobType; readonly version: number }[], gone: readonly string[] = []): void {
      for (const name of gone) setVersions(name, [])
      for (const { type, version } of types) {
        byName.delete(type.name)
        addVersion(type, version)
      }
      tellChange()
    },
  }
  jobTypes.replace(types.map((type) => ({ type, version: 1 })))
  return jobTypes
}

export type JobTypes = ReturnType<typeof createJobTypes>

const anyResult: Validate = () => true

const toRegistered = (type: JobType, version: number): RegisteredType => {
  const { data, result, registered } = type
  if (!registered) return { type, version, validate: createOwnValidator(data), validateResult: createOwnValidator(result) }
  return { type, version, validate: registered.checkData, validateResult: registered.checkResult ?? anyResult }
}

/** `before` when both hold the same. */
const sameOr = <T>(before: readonly T[], after: readonly T[]): readonly T[] =>
  before.length === after.length && before.every((each, at) => each === after[at]) ? before : after

/** What is wrong with data by the schema of their type, with pointers into `#/data`; nothing: they fit. */
export const dataProblems = ({ validate }: RegisteredType, data: unknown): FieldProblem[] =>
  validate(data) ? [] : toFieldProblems(validate.errors ?? [], 'body', '/data')

/** Data that were accepted under an earlier version, as this one has them: what is new and has a default is filled in. */
export const toPresentData = ({ type }: RegisteredType, data: unknown): unknown => type.registered?.fillDefaults(data) ?? data
/** What is wrong with a result by the schema of its type, with pointers into `#/result`; nothing: it fits. */
export const resultProblems = ({ validateResult }: RegisteredType, result: unknown): FieldProblem[] =>
  validateResult(result) ? [] : toFieldProblems(validateResult.errors ?? [], 'body', '/result')

/** What is wrong with a submission whose type is not registered. */
export const unknownType = (pointer = '#/type'): FieldProblem => ({ pointer, detail: 'is not a known type' })
