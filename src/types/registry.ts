// The job types that this process knows, looked up by name.

import type { JobType } from './definition.js'

/** Looks job types up by name. */
export const createJobTypes = (types: readonly JobType[]) => {
  const byName = new Map(types.map((type) => [type.name, type]))
  return { all: types, find: (name: string): JobType | undefined => byName.get(name) }
}

export type JobTypes = ReturnType<typeof createJobTypes>
