// Jobs that nobody runs before everything has healed: what a fault took along is not made up for by having been run.

import { adminKey } from '../helpers/start-probe-process.js'
import type { World } from './world.js'

/** One in four runs at once, so that leases and completions meet the fault too; the others wait in a queue that is paused. */
export const mostlyHeld = (count: number): string => (count % 4 === 0 ? 'echo' : 'held')

/** Pauses the queue of `held` jobs through this gateway. Call what is returned to have them run. */
export const holdJobs = async ({ check }: World, url: string) => {
  const act = async (verb: 'pause' | 'resume') => {
    const answer = await fetch(`${url}/admin/queues/meeting/${verb}`, { method: 'POST', headers: { authorization: `Bearer ${adminKey}` } })
    await answer.body?.cancel()
    check(`${verb} answered ${answer.status}`, answer.ok)
  }
  await act('pause')
  return () => act('resume')
}
