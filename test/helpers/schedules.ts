// What tests ask of schedules over HTTP.

import { eventually } from './eventually.js'
import type { Client } from './http-client.js'

const deadlineMs = 60_000

export const scheduleOf = async (client: Client, id: string) => (await client.get(`/v1/schedules/${id}`)).body

export const untilOver = (client: Client, id: string) =>
  eventually(`${id} is over`, async () => (await scheduleOf(client, id)).nextRunAt === null, deadlineMs)

export const untilRun = (client: Client, id: string, runs: number) =>
  eventually(`${id} has had ${runs} runs`, async () => (await scheduleOf(client, id)).runs >= runs, deadlineMs)

/** Newest first, of the latest 200 jobs. */
export const jobsOf = async (client: Client, scheduleId: string) =>
  (await client.get('/v1/jobs?limit=200')).body.items.filter((job: { scheduleId?: string }) => job.scheduleId === scheduleId)
