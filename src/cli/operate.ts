// `jobgate queues`, `pause`, `resume`, `clean` and `redrive`: what an operator does with queues.

import { type ClientCommand, isWrongUsage, numberOf, reportAnswer, reportFailure, textOf } from './client-command.js'
import { toList, toTable } from './table.js'

interface Health {
  readonly queues: Readonly<Record<string, { readonly healthy: boolean; readonly issues: readonly string[] }>>
}
type Metrics = Readonly<Record<string, Readonly<Record<string, number | boolean | null>>>>

const columns = ['waiting', 'paused', 'active', 'delayed', 'completed', 'failed', 'workers', 'oldestWaitingMs'] as const

export const queues: ClientCommand = {
  summary: 'Shows the health and counts of all queues.',
  usage: ['queues [--json]'],
  options: {},
  takes: [0, 0],
  async run(_args, _values, tools) {
    const [health, metrics] = await Promise.all([
      tools.client.call('GET', '/admin/queues/health'),
      tools.client.call('GET', '/admin/queues/metrics?minutes=1'),
    ])
    if (health.kind === 'failure') return reportFailure(tools, health)
    if (metrics.kind === 'failure') return reportFailure(tools, metrics)
    const both = { ...metrics, body: { health: health.body, metrics: metrics.body } }
    return reportAnswer(tools, both, toQueuesText)
  },
}

const toQueuesText = ({ health, metrics }: { health: Health; metrics: Metrics }): string => {
  const rows = Object.entries(metrics).map(([name, counts]) => {
    const { healthy, issues } = health.queues[name] ?? { healthy: false, issues: [] }
    const state = `${healthy ? 'healthy' : issues.join('; ')}${counts['isPaused'] ? ' (paused)' : ''}`
    return [name, ...columns.map((column) => counts[column]), state]
  })
  return toTable(['queue', ...columns.slice(0, -1), 'oldest ms', 'health'], rows)
}

const createSwitch = (action: 'pause' | 'resume', summary: string): ClientCommand => ({
  summary,
  usage: [`${action} [QUEUE] [--json]`],
  options: {},
  takes: [0, 1],
  async run([queue], _values, tools) {
    const path = queue === undefined ? `/admin/queues/${action}` : `/admin/queues/${encodeURIComponent(queue)}/${action}`
    const answer = await tools.client.call('POST', path, { repeatable: true })
    return reportAnswer(tools, answer, (body: Record<string, unknown>) => {
      const all = (queue === undefined ? body : { [queue]: body }) as Record<string, { paused: boolean }>
      return Object.entries(all)
        .map(([name, { paused }]) => `${name} ${paused ? 'is paused' : 'is running'}`)
        .join('\n')
    })
  },
})

export const pause = createSwitch('pause', 'Pauses one queue, or all. Jobs are accepted, but none starts.')
export const resume = createSwitch('resume', 'Resumes one paused queue, or all.')

export const clean: ClientCommand = {
  summary: 'Removes old finished jobs from all queues.',
  usage: ['clean [--completed-max-age MS] [--failed-max-age MS] [--limit N] [--json]'],
  options: {
    'completed-max-age': { type: 'string', description: 'Keep completed jobs younger than this, in ms. Default: 24 hours.' },
    'failed-max-age': { type: 'string', description: 'Keep failed jobs younger than this, in ms. Default: 7 days.' },
    limit: { type: 'string', description: 'Remove at most this many per queue and state. Default: 1000.' },
  },
  takes: [0, 0],
  async run(_args, values, tools) {
    const completedMaxAge = numberOf(values, 'completed-max-age')
    const failedMaxAge = numberOf(values, 'failed-max-age')
    const limit = numberOf(values, 'limit')
    const wrong = [completedMaxAge, failedMaxAge, limit].find(isWrongUsage)
    if (wrong) return wrong
    const answer = await tools.client.call('POST', '/admin/queues/clean', { body: { completedMaxAge, failedMaxAge, limit } })
    return reportAnswer(tools, answer, (body: Record<string, { completed: number; failed: number }>) =>
      toTable(
        ['queue', 'completed', 'failed'],
        Object.entries(body).map(([name, { completed, failed }]) => [name, completed, failed]),
      ),
    )
  },
}

export const redrive: ClientCommand = {
  summary: 'Retries the dead letters of a queue.',
  usage: ['redrive QUEUE [--type TYPE] [--code CODE] [--rate N] [--dry-run] [--json]'],
  options: {
    type: { type: 'string', description: 'Only jobs of this type.' },
    code: { type: 'string', description: 'Only jobs that failed with this error code.' },
    rate: { type: 'string', description: 'Retry at most this many per second. Default: 100.' },
    'dry-run': { type: 'boolean', description: 'Only show how many jobs would be retried.' },
  },
  takes: [1, 1],
  async run([queue = ''], values, tools) {
    const ratePerSecond = numberOf(values, 'rate')
    if (isWrongUsage(ratePerSecond)) return ratePerSecond
    const body = { filter: { type: textOf(values, 'type'), code: textOf(values, 'code') }, ratePerSecond }
    const path = `/admin/queues/${encodeURIComponent(queue)}/dead-letters/redrive${values['dry-run'] ? '?dryRun=true' : ''}`
    return reportAnswer(tools, await tools.client.call('POST', path, { body }), toList)
  },
}
