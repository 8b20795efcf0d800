// `jobgate types`: lists, registers, checks and deletes job types of one's own, and writes their TypeScript types.

import { readFile, writeFile } from 'node:fs/promises'
import { basename } from 'node:path'
import {
  type ClientCommand,
  isWrongUsage,
  reportAnswer,
  reportFailure,
  type Terminal,
  type Tools,
  textOf,
  type WrongUsage,
  wrongUsage,
} from './client-command.js'
import { exitCodes } from './exit-codes.js'
import { toList, toPrintable, toTable } from './table.js'
import { type DescribedType, toTypeScript } from './typescript-types.js'

interface TypeBody extends DescribedType {
  readonly queue: string
  readonly runs: { readonly by: string } | null
  readonly compatibility: string | null
  readonly available: boolean
}

interface Fault {
  readonly pointer: string
  readonly detail: string
  readonly rule?: string
}

type Values = Parameters<ClientCommand['run']>[1]

export const types: ClientCommand = {
  summary: 'Lists, registers, checks and deletes job types; writes their TypeScript types.',
  usage: [
    'types [list] [--json]',
    'types get NAME [--definition] [--json]',
    'types put FILE|- [--name NAME] [--force] [--json]',
    'types check FILE [--against FILE]',
    'types check FILE|- --remote [--name NAME] [--json]',
    'types delete NAME',
    'types pull [NAME ...] [--out FILE]',
  ],
  options: {
    name: { type: 'string', description: "Name of the job type. Default: the file's name without .json." },
    definition: { type: 'boolean', description: 'Print the definition, as put takes it.' },
    force: { type: 'boolean', description: 'Replace an incompatible version although jobs need it. Requires the admin scope.' },
    against: { type: 'string', description: 'Also check whether what fits the earlier definition in this file still fits.' },
    remote: { type: 'boolean', description: 'Let the gateway check, against all versions in use. Stores nothing.' },
    out: { type: 'string', description: 'Write to this file instead of standard output.' },
  },
  takes: [0, 1001],
  async run([action = 'list', ...args], values, tools) {
    if (action === 'pull') return pull(args, values, tools)
    const [argument, ...others] = args
    if (action === 'list') return argument === undefined ? list(tools) : wrongUsage('list takes no argument.')
    const run = Object.hasOwn(actions, action) ? actions[action] : undefined
    if (!run) return wrongUsage(`Unknown subcommand "${action}".`)
    if (argument === undefined || others.length > 0) return wrongUsage(`${action} takes one argument.`)
    return run(argument, values, tools)
  },
}

const addressOf = (name: string): string => `/v1/job-types/${encodeURIComponent(name)}`

const list = async (tools: Tools): Promise<number> =>
  reportAnswer(tools, await tools.client.call('GET', '/v1/job-types'), ({ items }: { items: readonly TypeBody[] }) =>
    toTable(
      ['type', 'version', 'queue', 'runs', 'available'],
      items.map(({ type, version, queue, runs, available }) => [type, version, queue, runs?.by ?? 'built in', available ? 'yes' : 'no']),
    ),
  )

const get = async (name: string, values: Values, tools: Tools): Promise<number> => {
  const answer = await tools.client.call('GET', addressOf(name))
  if (answer.kind === 'failure' || !values['definition']) return reportAnswer(tools, answer, toTypeText)
  const { version } = answer.body as TypeBody
  const stored = await tools.client.call('GET', `${addressOf(name)}/versions/${version}`)
  if (stored.kind === 'failure') return reportFailure(tools, stored)
  tools.terminal.out(JSON.stringify((stored.body as { definition: unknown }).definition, null, 2))
  return exitCodes.ok
}

const toTypeText = ({ type, version, queue, runs, compatibility, available, description, dataSchema, resultSchema }: TypeBody): string =>
  [
    toList({ type, version, queue, runs: runs?.by ?? 'built in', compatibility, available: available ? 'yes' : 'no', description }),
    `data\n${JSON.stringify(dataSchema, null, 2)}`,
    ...(resultSchema === null ? [] : [`result\n${JSON.stringify(resultSchema, null, 2)}`]),
  ].join('\n\n')

const put = async (file: string, values: Values, tools: Tools): Promise<number | WrongUsage> => {
  const query = values['force'] ? '?force=true' : ''
  return register(file, query, values, tools, ({ type, version }) => `${type} is registered, version ${version}.`)
}

const check = async (file: string, values: Values, tools: Tools): Promise<number | WrongUsage> => {
  const against = textOf(values, 'against')
  if (!values['remote']) {
    if (textOf(values, 'name') !== undefined) return wrongUsage('--name goes with --remote.')
    const { checkDefinition } = await import('./check-definition.js')
    return checkDefinition(file, against, tools.terminal.out)
  }
  if (against !== undefined) return wrongUsage('--against compares files; --remote compares with the versions that the gateway has.')
  return register(file, '?dryRun=true', values, tools, ({ type, version }) => `${file} is fine: it would be version ${version} of ${type}.`)
}

/** Sends a definition; the gateway says what it thinks of it. */
const register = async (
  file: string,
  query: string,
  values: Values,
  tools: Tools,
  toText: (type: TypeBody) => string,
): Promise<number | WrongUsage> => {
  const name = textOf(values, 'name') ?? (file === '-' ? undefined : basename(file).replace(/\.json$/, ''))
  if (name === undefined) return wrongUsage('Standard input has no name: add --name.')
  const definition = await readDefinition(file, tools.terminal)
  if (isWrongUsage(definition)) return definition
  const answer = await tools.client.call('PUT', `${addressOf(name)}${query}`, { body: definition.json, repeatable: true })
  if (answer.kind === 'failure') {
    const code = reportFailure(tools, answer)
    const { counterexample } = answer.problem
    if (counterexample !== undefined && !tools.json)
      tools.terminal.err(`  For example, this was fine and no longer is:\n  ${JSON.stringify(counterexample)}\n`)
    return code
  }
  return reportAnswer(tools, answer, (type: TypeBody & { warnings: readonly Fault[] }) =>
    [toText(type), ...type.warnings.map(({ pointer, detail }) => `warning: ${toPrintable(pointer)} ${toPrintable(detail)}`)].join('\n'),
  )
}

const readDefinition = async (file: string, terminal: Terminal): Promise<{ json: unknown } | WrongUsage> => {
  try {
    return { json: JSON.parse(file === '-' ? await terminal.stdin() : await readFile(file, 'utf8')) }
  } catch (error) {
    const reason = error instanceof SyntaxError ? 'it is not JSON' : (error as NodeJS.ErrnoException).code
    return wrongUsage(`${file} cannot be read: ${reason}.`)
  }
}

const remove = async (name: string, _values: Values, tools: Tools): Promise<number> => {
  const answer = await tools.client.call('DELETE', addressOf(name))
  return answer.kind === 'failure' ? reportFailure(tools, answer) : exitCodes.ok
}

const actions: Readonly<Record<string, (argument: string, values: Values, tools: Tools) => Promise<number | WrongUsage>>> = {
  get,
  put,
  check,
  delete: remove,
}

const pull = async (names: readonly string[], values: Values, tools: Tools): Promise<number | WrongUsage> => {
  const answer = await tools.client.call('GET', '/v1/job-types')
  if (answer.kind === 'failure') return reportFailure(tools, answer)
  const { items } = answer.body as { items: readonly TypeBody[] }
  const missing = names.find((name) => !items.some(({ type }) => type === name))
  if (missing !== undefined) {
    const detail = `There is no job type ${JSON.stringify(missing)}.`
    return reportFailure(tools, { kind: 'failure', exitCode: exitCodes.refused, text: detail, problem: { title: 'Not found', detail } })
  }
  const text = toTypeScript(names.length === 0 ? items : items.filter(({ type }) => names.includes(type)))
  const out = textOf(values, 'out')
  if (out === undefined) {
    tools.terminal.out(text.trimEnd())
    return exitCodes.ok
  }
  try {
    await writeFile(out, text)
  } catch (error) {
    return wrongUsage(`${out} cannot be written: ${(error as NodeJS.ErrnoException).code}.`)
  }
  return exitCodes.ok
}
