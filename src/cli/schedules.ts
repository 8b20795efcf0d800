// `jobgate schedules`: lists, sets, deletes and triggers recurring jobs.

import { randomUUID } from 'node:crypto'
import { type ClientCommand, isWrongUsage, reportAnswer, reportFailure, type Tools, textOf, wrongUsage } from './client-command.js'
import { exitCodes } from './exit-codes.js'
import { toJobText } from './job-text.js'
import { readJson } from './submit.js'
import { toList, toTable } from './table.js'

interface ScheduleBody {
  readonly id: string
  readonly type: string
  readonly cron: string | null
  readonly timezone: string | null
  readonly everyMs: number | null
  readonly nextRunAt: string | null
  readonly runs: number
}

interface Page {
  readonly items: readonly ScheduleBody[]
  readonly next: string | null
}

export const schedules: ClientCommand = {
  summary: 'Lists, creates, replaces, deletes and triggers schedules.',
  usage: ['schedules [--json]', 'schedules put ID --data JSON|@FILE|- [--json]', 'schedules delete ID', 'schedules trigger ID [--json]'],
  options: { data: { type: 'string', description: 'The schedule: JSON, @FILE, or - for standard input.' } },
  takes: [0, 2],
  async run([action = 'list', id], values, tools) {
    if (action === 'list') return id === undefined ? list(tools) : wrongUsage('list takes no ID.')
    if (id === undefined) return wrongUsage(`${action} takes an ID.`)
    const path = `/v1/schedules/${encodeURIComponent(id)}`
    switch (action) {
      case 'put': {
        const schedule = await readJson(textOf(values, 'data') ?? '', '--data', tools.terminal)
        if (isWrongUsage(schedule)) return schedule
        return reportAnswer(tools, await tools.client.call('PUT', path, { body: schedule.json, repeatable: true }), toScheduleText)
      }
      case 'delete': {
        const answer = await tools.client.call('DELETE', path)
        return answer.kind === 'failure' ? reportFailure(tools, answer) : exitCodes.ok
      }
      case 'trigger': {
        const headers = { 'idempotency-key': `"${randomUUID()}"` }
        return reportAnswer(tools, await tools.client.call('POST', `${path}/trigger`, { headers, repeatable: true }), toJobText)
      }
      default:
        return wrongUsage(`Unknown subcommand "${action}".`)
    }
  },
}

const list = async (tools: Tools): Promise<number> => {
  const items: ScheduleBody[] = []
  let cursor: string | null = null
  do {
    const query: string = cursor === null ? '' : `&cursor=${encodeURIComponent(cursor)}`
    const answer = await tools.client.call('GET', `/v1/schedules?limit=100${query}`)
    if (answer.kind === 'failure') return reportFailure(tools, answer)
    const page = answer.body as Page
    items.push(...page.items)
    cursor = page.next
  } while (cursor !== null)
  const rows = items.map((each) => [each.id, each.type, toRhythm(each), each.nextRunAt, each.runs])
  tools.terminal.out(tools.json ? JSON.stringify({ items }) : toTable(['id', 'type', 'when', 'next run', 'runs'], rows))
  return exitCodes.ok
}

const toRhythm = ({ cron, timezone, everyMs }: ScheduleBody): string =>
  cron === null ? `every ${everyMs} ms` : `${cron}${timezone === null ? '' : ` ${timezone}`}`

const toScheduleText = (schedule: ScheduleBody): string =>
  toList({ id: schedule.id, type: schedule.type, when: toRhythm(schedule), 'next run': schedule.nextRunAt, runs: schedule.runs })
