// `jobgate submit`: submits one job, and waits for it if asked to.

import { randomUUID } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { isPassing } from './client.js'
import {
  type ClientCommand,
  isWrongUsage,
  numberOf,
  reportAnswer,
  reportFailure,
  type Terminal,
  textOf,
  type WrongUsage,
  wrongUsage,
} from './client-command.js'
import { waitUntilFinished } from './follow.js'
import { type JobBody, toJobText } from './job-text.js'

export const submit: ClientCommand = {
  summary: 'Submits one job.',
  usage: ['submit TYPE [--data JSON|@FILE|-] [--key KEY] [--delay-ms N] [--priority P] [--wait] [--json]'],
  options: {
    data: { type: 'string', description: 'Input for the handler: JSON, @FILE, or - for standard input. Default: {}.' },
    key: { type: 'string', description: 'Idempotency-Key: repeating the same key and data returns the same job. Default: generated.' },
    'delay-ms': { type: 'string', description: 'Start no earlier than this many milliseconds from now.' },
    priority: { type: 'string', description: 'high, normal or low.' },
    wait: { type: 'boolean', description: 'Wait until the job finishes; the exit code depends on its final state.' },
  },
  takes: [1, 1],
  async run([type], values, tools) {
    const { client, terminal } = tools
    const delayMs = numberOf(values, 'delay-ms')
    if (isWrongUsage(delayMs)) return delayMs
    const key = textOf(values, 'key') ?? randomUUID()
    if (!/^[\x20-\x7e]{1,255}$/.test(key)) return wrongUsage('--key must be 1 to 255 printable ASCII characters.')
    const data = await readJson(textOf(values, 'data') ?? '{}', '--data', terminal)
    if (isWrongUsage(data)) return data

    const priority = textOf(values, 'priority')
    const options = { ...(delayMs === undefined ? {} : { delayMs }), ...(priority === undefined ? {} : { priority }) }
    const body = { type, data: data.json, ...(Object.keys(options).length > 0 ? { options } : {}) }
    const headers = { 'idempotency-key': `"${key.replace(/["\\]/g, '\\$&')}"` }
    const answer = await client.call('POST', '/v1/jobs', { body, headers, repeatable: true })
    if (answer.kind === 'failure') {
      const code = reportFailure(tools, answer)
      if (isPassing(answer) && !tools.json)
        terminal.err(`  The job may have been accepted. To be sure, submit it again with --key '${key}'.\n`)
      return code
    }
    return values['wait'] ? waitUntilFinished(tools, (answer.body as JobBody).id) : reportAnswer(tools, answer, toJobText)
  },
}

/** JSON as given, from a file, or from standard input. What it holds is not repeated in an error. */
export const readJson = async (source: string, option: string, terminal: Terminal): Promise<{ json: unknown } | WrongUsage> => {
  let text = source
  try {
    if (source === '-') text = await terminal.stdin()
    else if (source.startsWith('@')) text = await readFile(source.slice(1), 'utf8')
  } catch (error) {
    return wrongUsage(`${option}: cannot read the file (${(error as NodeJS.ErrnoException).code}).`)
  }
  try {
    return { json: JSON.parse(text) }
  } catch {
    return wrongUsage(`${option} must be a single JSON value.`)
  }
}
