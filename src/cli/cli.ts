// The commands that talk to a gateway over HTTP: their names, their arguments, their help.

import { parseArgs } from 'node:util'
import type { ClientSettings } from '../config/config.js'
import { type Client, createClient } from './client.js'
import { type ClientCommand, isWrongUsage, type Terminal } from './client-command.js'
import { exitCodes } from './exit-codes.js'
import { status, tail, wait } from './follow.js'
import { clean, pause, queues, redrive, resume } from './operate.js'
import { schedules } from './schedules.js'
import { submit } from './submit.js'
import { types } from './types.js'

export const clientCommands: Readonly<Record<string, ClientCommand>> = {
  submit,
  status,
  wait,
  tail,
  queues,
  pause,
  resume,
  clean,
  redrive,
  schedules,
  types,
}

const common = {
  json: { type: 'boolean', description: 'Print JSON instead of text, and errors as problem documents on standard error.' },
  help: { type: 'boolean', description: 'Show this help.' },
} as const

const footer = `Environment: JOBGATE_URL, JOBGATE_API_KEY (or JOBGATE_API_KEY_FILE).
Exit codes: 0 success, 1 job failed or was cancelled, 2 invalid usage, 3 refused by the gateway, 4 gateway unreachable or 5xx.`

/**
 * Runs one command. In: its arguments after its name; `settings` is asked only when the gateway is called.
 * Out: the exit code, see `exitCodes`. Throws what `settings` throws.
 */
export const runClientCommand = async (
  name: string,
  args: string[],
  { settings, terminal }: { settings: () => ClientSettings; terminal: Terminal },
): Promise<number> => {
  const command = clientCommands[name] as ClientCommand
  const parsed = parse(command, args)
  if (parsed instanceof Error) return refuse(name, command, parsed.message, terminal)
  const { values, positionals } = parsed
  if (values['help']) {
    terminal.out(toHelp(command))
    return exitCodes.ok
  }
  const [least, most] = command.takes
  if (positionals.length < least) return refuse(name, command, 'Missing argument.', terminal)
  if (positionals.length > most) return refuse(name, command, 'Too many arguments.', terminal)
  let client: Client | undefined
  const tools = {
    // What looks at files alone needs no settings.
    get client(): Client {
      client ??= createClient(settings())
      return client
    },
    terminal,
    json: values['json'] === true,
  }
  const outcome = await command.run(positionals, values, tools)
  return isWrongUsage(outcome) ? refuse(name, command, outcome.detail, terminal) : outcome
}

const parse = ({ options }: ClientCommand, args: string[]) => {
  try {
    const { values, positionals } = parseArgs({ args, options: toParseOptions(options), strict: true, allowPositionals: true })
    return { values: values as Readonly<Record<string, string | boolean | undefined>>, positionals }
  } catch (error) {
    return error as Error
  }
}

const toParseOptions = (options: ClientCommand['options']): Record<string, { type: 'string' | 'boolean'; short?: string }> => {
  const all = Object.entries({ ...options, ...common }).map(([name, { type }]) => [name, name === 'help' ? { type, short: 'h' } : { type }])
  return Object.fromEntries(all)
}

const refuse = (name: string, { usage }: ClientCommand, detail: string, terminal: Terminal): number => {
  terminal.err(`jobgate ${name}: ${detail}\n${toUsage(usage)}\n`)
  return exitCodes.usage
}

const toUsage = (usage: readonly string[]): string => `Usage:\n${usage.map((line) => `  jobgate ${line}`).join('\n')}`

const toHelp = ({ summary, usage, options }: ClientCommand): string => {
  const lines = Object.entries({ ...options, ...common }).map(([name, { description }]) => `  --${name.padEnd(18)} ${description}`)
  return `${summary}\n\n${toUsage(usage)}\n\nOptions:\n${lines.join('\n')}\n\n${footer}`
}

/** All commands, those of the gateway itself among them. */
export const toOverview = (own: Readonly<Record<string, string>>): string => {
  const talkers = Object.entries(clientCommands).map(([name, { summary }]): [string, string] => [name, summary])
  const lines = [...Object.entries(own), ...talkers].map(([name, summary]) => `  ${name.padEnd(10)} ${summary}`)
  return `Usage: jobgate COMMAND …; run jobgate COMMAND --help for details.\n\nCommands:\n${lines.join('\n')}\n\n${footer}`
}
