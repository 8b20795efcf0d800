#!/usr/bin/env node
// The `jobgate` command: serve (default), worker, keys.

import { runKeys } from './commands/keys.js'
import { serve } from './commands/serve.js'
import { work } from './commands/worker.js'
import { loadConfig } from './config.js'
import { createLogger } from './telemetry/logger.js'

const keys = async (args: string[]): Promise<void> => {
  const print = (line: string) => process.stdout.write(`${line}\n`)
  process.exitCode = await runKeys(args, { config: loadConfig(), log: createLogger({ level: 'warn' }), print })
}

const commands: Readonly<Record<string, (args: string[]) => Promise<unknown>>> = { serve: () => serve(), worker: () => work(), keys }

const [name = 'serve', ...args] = process.argv.slice(2)
const command = commands[name]
if (command) {
  try {
    await command(args)
  } catch (error) {
    // A wrong setting or a missing program is the operator's to mend: one line, not a stack.
    process.stderr.write(`jobgate: ${(error as Error).message}\n`)
    process.exit(1)
  }
} else {
  process.stderr.write(`jobgate: unknown command "${name}". Known: ${Object.keys(commands).join(', ')}\n`)
  process.exit(2)
}
