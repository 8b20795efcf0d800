// `jobgate status`, `wait` and `tail`: one job now, at its end, and on its way there.

import { type ClientCommand, reportAnswer, reportFailure, type Tools } from './client-command.js'
import { followEvents, type JobEvent } from './event-stream.js'
import { exitCodes } from './exit-codes.js'
import { exitCodeOf, isFinished, type JobBody, toJobText } from './job-text.js'
import { toPrintable } from './table.js'

const barWidth = 30

const readJob = ({ client }: Tools, id: string) => client.call('GET', `/v1/jobs/${encodeURIComponent(id)}`)

export const status: ClientCommand = {
  summary: 'Shows a job as it is now. The exit code is 0 in every state.',
  usage: ['status ID [--json]'],
  options: {},
  takes: [1, 1],
  run: async ([id = ''], _values, tools) => reportAnswer(tools, await readJob(tools, id), toJobText),
}

export const wait: ClientCommand = {
  summary: 'Waits until a job finishes, and shows it.',
  usage: ['wait ID [--json]'],
  options: {},
  takes: [1, 1],
  run: ([id = ''], _values, tools) => waitUntilFinished(tools, id),
}

/** Follows a job to its end and shows it. Out: 0 when it completed, 1 when it failed or was cancelled. */
export const waitUntilFinished = async (tools: Tools, id: string): Promise<number> => {
  const draw = createProgressBar(tools)
  const events = followEvents(tools.client, id)
  for (let next = await events.next(); ; next = await events.next()) {
    if (!next.done) {
      draw.show(next.value)
      continue
    }
    draw.clear()
    if (next.value) return reportFailure(tools, next.value)
    break
  }
  const answer = await readJob(tools, id)
  const code = reportAnswer(tools, answer, toJobText)
  if (answer.kind === 'failure') return code
  return endCodeOf(tools, answer.body as JobBody)
}

const endCodeOf = ({ terminal }: Tools, job: JobBody): number => {
  if (isFinished(job)) return exitCodeOf(job)
  terminal.err('jobgate: the gateway ended the event stream before the job finished. Run the command again.\n')
  return exitCodes.unavailable
}

/** One line that is drawn over; silent where standard error is no terminal. */
const createProgressBar = ({ terminal }: Tools) => ({
  show({ event, data }: JobEvent): void {
    if (!terminal.isInteractive) return
    const { progress } = data
    const share = typeof progress === 'number' ? Math.min(Math.max(progress, 0), 100) / 100 : null
    const full = Math.round((share ?? 0) * barWidth)
    const bar = share === null ? '' : `[${'#'.repeat(full)}${'.'.repeat(barWidth - full)}] ${Math.round(share * 100)}%  `
    const step = typeof progress === 'object' && progress !== null ? `  ${toPrintable(progress).slice(0, 60)}` : ''
    terminal.err(`\r\u001b[K${bar}${toPrintable(event)}${step}`)
  },
  clear(): void {
    if (terminal.isInteractive) terminal.err('\r\u001b[K')
  },
})

export const tail: ClientCommand = {
  summary: 'Prints the events of a job, one per line, until it finishes.',
  usage: ['tail ID [--last-event-id EVENT] [--json]'],
  options: { 'last-event-id': { type: 'string', description: 'Only show events after this one.' } },
  takes: [1, 1],
  run: async ([id = ''], values, tools) => {
    const events = followEvents(tools.client, id, values['last-event-id'] as string | undefined)
    let last: JobEvent | undefined
    for (let next = await events.next(); ; next = await events.next()) {
      if (next.done) {
        if (next.value) return reportFailure(tools, next.value)
        break
      }
      last = next.value
      tools.terminal.out(tools.json ? JSON.stringify(last) : toEventLine(last))
    }
    return last && isFinished(last.data as unknown as JobBody) ? exitCodeOf(last.data as unknown as JobBody) : endOf(tools, id)
  },
}

/** The stream ended without the last event: it was known before, or the job is gone. */
const endOf = async (tools: Tools, id: string): Promise<number> => {
  const answer = await readJob(tools, id)
  if (answer.kind === 'failure') return reportFailure(tools, answer)
  return endCodeOf(tools, answer.body as JobBody)
}

const toEventLine = ({ id, event, data }: JobEvent): string => {
  const error = data['error'] as JobBody['error'] | undefined
  const shown = event === 'completed' ? data['result'] : error ? `${error.code}: ${error.message}` : data['progress']
  return [id, event, ...(shown === undefined || shown === null ? [] : [shown])].map(toPrintable).join('  ')
}
