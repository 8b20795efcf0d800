#!/usr/bin/env node
// The `jobgate` command: serve (default), worker, keys, and the commands that talk to a gateway.

import { text } from 'node:stream/consumers'
import { clientCommands, runClientCommand, toOverview } from './cli/cli.js'
import { loadClientSettings, loadConfig } from './config/config.js'

const print = (line: string) => process.stdout.write(`${line}\n`)

const keys = async (args: string[]): Promise<void> => {
  const [{ runKeys }, { createLogger }] = await Promise.all([import('./cli/keys.js'), import('./telemetry/logger.js')])
  process.exitCode = await runKeys(args, { config: loadConfig(), log: createLogger({ level: 'warn' }), print })
}

// Loaded only when they run: a command that asks one question should not wait for a whole gateway to load.
const commands: Readonly<Record<string, (args: string[]) => Promise<unknown>>> = {
  serve: async () => (await import('./cli/serve.js')).serve(),
  worker: async () => (await import('./cli/work.js')).work(),
  keys,
}
const summaries = {
  serve: 'Runs the gateway; the default.',
  worker: 'Runs jobs only.',
  keys: 'Issues, lists and revokes API keys.',
}

const talk = async (name: string, args: string[]): Promise<void> => {
  const terminal = {
    out: print,
    err: (line: string) => process.stderr.write(line),
    isInteractive: process.stderr.isTTY,
    stdin: () => text(process.stdin),
  }
  process.exitCode = await runClientCommand(name, args, { settings: loadClientSettings, terminal })
}

const [name = 'serve', ...args] = process.argv.slice(2)
const command = Object.hasOwn(commands, name) ? commands[name] : undefined
const isClientCommand = Object.hasOwn(clientCommands, name)
if (command || isClientCommand) {
  try {
    await (command ? command(args) : talk(name, args))
  } catch (error) {
    // A wrong setting or a missing program is for the operator to fix: one line, not a stack.
    process.stderr.write(`jobgate: ${(error as Error).message}\n`)
    process.exit(isClientCommand ? 2 : 1)
  }
} else if (['--help', '-h', 'help'].includes(name)) {
  print(toOverview(summaries))
} else {
  process.stderr.write(`jobgate: unknown command "${name}".\n${toOverview(summaries)}\n`)
  process.exit(2)
}
