// What still needs a job type: jobs that have not finished, schedules, and data that were accepted under earlier versions.

import type { VersionsInUse } from '../bullmq/registered/versions.js'
import type { CountQueues } from '../bullmq/statistics/queue-counts.js'
import type { ScheduleRecords } from '../schedules/record.js'

/** What needs a type, in numbers. */
export interface TypeUsage {
  /** Jobs of the type that have not finished. */
  readonly jobs: number
  /** Schedules that submit jobs of the type, or follow-ups of it. */
  readonly schedules: number
}

interface Deps {
  readonly count: CountQueues
  readonly queues: { has(name: string): boolean }
  readonly schedules: Pick<ScheduleRecords, 'usesOf'>
  readonly versionsInUse: VersionsInUse
}

/** Both reject with the error of Redis. */
export const createTypeUsage = ({ count, queues, schedules, versionsInUse }: Deps) => ({
  async count(name: string): Promise<TypeUsage> {
    const [counts] = queues.has(name) ? await count([name]) : []
    const jobs = counts ? counts.waiting + counts.paused + counts.delayed + counts.active + counts.waitingChildren : 0
    return { jobs, schedules: (await schedules.usesOf(name)).count }
  },

  /** Those of `versions` under which data were accepted that jobs, finished ones included, or schedules still hold. */
  async versionsInUse(name: string, versions: readonly number[]): Promise<ReadonlySet<number>> {
    const [ofJobs, ofSchedules] = await Promise.all([versionsInUse(name, versions), schedules.usesOf(name)])
    return new Set(versions.filter((version) => ofJobs.has(version) || ofSchedules.versions.has(version)))
  },
})

export type TypeUsages = ReturnType<typeof createTypeUsage>
