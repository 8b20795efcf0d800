// `jobgate types check`: checks definitions of job types in files, before anybody registers them.

import { readFile } from 'node:fs/promises'
import { type DefinitionFault, parseDefinition, type TypeDefinition } from '../types/contracts/definition.js'
import { compareDefinitions } from '../types/contracts/evolution.js'

/**
 * Says whether the definition in a file can be registered, and whether whatever fits an earlier one still fits.
 * In: `print` writes one line to standard output. Out: the exit code: 0 it can, 1 it cannot, 2 a file is not JSON.
 */
export const checkDefinition = async (file: string, against: string | undefined, print: (line: string) => void): Promise<number> => {
  const definition = await readDefinition(file, print)
  if (typeof definition === 'number') return definition
  if (against === undefined) {
    print(`${file} is fine.`)
    return 0
  }
  const earlier = await readDefinition(against, print)
  return typeof earlier === 'number' ? earlier : compare(earlier, definition, { file, against }, print)
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
  { file, against }: { file: string; against: string },
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
