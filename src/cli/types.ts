// `jobgate types`: checks definitions of job types in files, before anybody registers them.

import { readFile } from 'node:fs/promises'
import { parseArgs } from 'node:util'
import { type DefinitionFault, parseDefinition, type TypeDefinition } from '../types/contracts/definition.js'
import { compareDefinitions } from '../types/contracts/evolution.js'

const usage = `Usage:
  jobgate types check FILE [--against FILE]
Checks the definition of a job type in FILE (JSON): its contract, its example, its defaults. With --against, also whether
whatever fits an earlier version of it still fits.`

/**
 * Runs `jobgate types …`. In: the arguments after `types`; `print` writes one line to standard output.
 * Out: the exit code: 0 it can be registered, 1 it cannot, 2 wrong arguments or a file that is not JSON.
 */
export const runTypes = async (args: string[], { print }: { print: (line: string) => void }): Promise<number> => {
  const wanted = toWanted(args)
  if (typeof wanted === 'string') {
    print(wanted === '' ? usage : `${wanted}\n${usage}`)
    return wanted === '' ? 0 : 2
  }
  const definition = await readDefinition(wanted.file, print)
  if (typeof definition === 'number') return definition
  if (wanted.against === undefined) {
    print(`${wanted.file} is fine.`)
    return 0
  }
  const earlier = await readDefinition(wanted.against, print)
  return typeof earlier === 'number' ? earlier : compare(earlier, definition, wanted, print)
}

/** What the arguments ask for, or what is wrong with them; an empty text asks for help. */
const toWanted = (args: string[]): { file: string; against: string | undefined } | string => {
  try {
    const options = { against: { type: 'string' }, help: { type: 'boolean', short: 'h' } } as const
    const { values, positionals } = parseArgs({ args, options, allowPositionals: true })
    const [action, file, ...others] = positionals
    if (values.help) return ''
    if (action !== 'check') return action === undefined ? 'Missing subcommand.' : `Unknown subcommand "${action}".`
    if (file === undefined || others.length > 0) return 'check takes one file.'
    return { file, against: values.against }
  } catch (error) {
    return (error as Error).message
  }
}

type Print = (line: string) => void

/** The definition in a file, or the exit code once its faults are printed. */
const readDefinition = async (file: string, print: Print): Promise<TypeDefinition | number> => {
  let body: unknown
  try {
    body = JSON.parse(await readFile(file, 'utf8'))
  } catch (error) {
    print(`${file} cannot be read: ${(error as Error).message}`)
    return 2
  }
  const parsed = parseDefinition(body)
  if (parsed.kind === 'definition') return parsed.definition
  print(`${file} is not a definition of a job type:`)
  for (const fault of parsed.faults) print(toLine(fault))
  return 1
}

const toLine = ({ pointer, detail, rule }: DefinitionFault): string => `  ${pointer} ${detail}${rule === undefined ? '' : ` (${rule})`}`

const compare = async (
  earlier: TypeDefinition,
  later: TypeDefinition,
  { file, against }: { file: string; against: string | undefined },
  print: Print,
): Promise<number> => {
  const { incompatibilities, warnings, findCounterexample } = compareDefinitions(earlier, later)
  for (const warning of warnings) print(toLine(warning))
  if (incompatibilities.length === 0) {
    print(`${file} is fine, and compatible with ${against}.`)
    return 0
  }
  print(`${file} is not compatible with ${against}:`)
  for (const each of incompatibilities) print(`${toLine(each)}${each.isCertain ? '' : '; whether that refuses something is undecided'}`)
  const counterexample = await findCounterexample()
  if (counterexample !== undefined) print(`For example, this was fine and no longer is:\n  ${JSON.stringify(counterexample)}`)
  return 1
}
