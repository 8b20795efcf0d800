// Reads from an operator's templates which data they want, so that a submission can be checked before it is accepted.

import { type TObject, Type } from '@sinclair/typebox'
import { closed } from '../../types/schema-parts.js'
import { blockHelpers } from './compiler.js'
import { htmlPartials } from './layout.js'

/** Names that every template can use without being given them. */
const ambientFields: ReadonlySet<string> = new Set(['locale', 'subject', 'footer'])

/** The part of Handlebars' syntax tree that is read here: nodes of all kinds, by the members they may have. */
interface Node {
  readonly type: string
  readonly [member: string]: unknown
}

interface Path extends Node {
  readonly data: boolean
  readonly depth: number
  readonly parts: readonly string[]
}

interface Scope {
  /** How many `each` and `with` lie between here and the template's own data. */
  readonly depth: number
  /** Names that an enclosing `if` has tested. */
  readonly tested: ReadonlySet<string>
  /** Names that `as |x|` brought in. */
  readonly bound: ReadonlySet<string>
}

/** What the templates are read from: syntax trees, and whether they are HTML. */
type Trees = readonly { readonly tree: unknown; readonly isHtml: boolean }[]

/** Told of every place in the data that a template reads, by the names that lead there. */
type Note = (path: readonly string[], isRequired: boolean) => void

/**
 * A closed schema of what the given syntax trees read: a member is required where some tree prints it without asking
 * `{{#if member}}` first. Values may be anything JSON can say.
 * Throws an Error for what no template may do: unescaped HTML, blocks and partials that are not there.
 */
export const toDataSchema = (trees: Trees): TObject => {
  const required = new Map<string, boolean>()
  readAll(trees, ([name = ''], isRequired) => required.set(name, isRequired || required.get(name) === true))
  const members = [...required].map(([name, isRequired]) => [name, isRequired ? Type.Unknown() : Type.Optional(Type.Unknown())] as const)
  return Type.Object(Object.fromEntries(members), closed)
}

/** Data that name themselves, `[user.name]`, for whatever the given syntax trees read by name. */
export const toSampleData = (trees: Trees): Record<string, unknown> => {
  // Without a prototype: a template may print what it likes, `__proto__` too.
  const sample: Record<string, unknown> = Object.create(null)
  readAll(trees, (path) => {
    let at = sample
    for (const name of path.slice(0, -1)) {
      if (typeof at[name] !== 'object') at[name] = Object.create(null)
      at = at[name] as Record<string, unknown>
    }
    at[path.at(-1) as string] ??= `[${path.join('.')}]`
  })
  return sample
}

const readAll = (trees: Trees, note: Note): void => {
  const noteGiven: Note = (path, isRequired) => {
    if (!ambientFields.has(path[0] as string)) note(path, isRequired)
  }
  const scope: Scope = { depth: 0, tested: new Set(), bound: new Set() }
  for (const { tree, isHtml } of trees) createReader(noteGiven, isHtml).read(tree as Node, scope)
}

const createReader = (note: Note, isHtml: boolean) => {
  const read = (node: Node, scope: Scope): void => {
    switch (node.type) {
      case 'PathExpression': {
        const path = toOuterPath(node as Path, scope)
        if (path) note(path, !scope.tested.has(path[0] as string))
        break
      }
      case 'BlockStatement':
        readBlock(node, scope)
        break
      case 'Decorator':
      case 'DecoratorBlock':
        throw new Error('inline partials and decorators are not allowed')
      case 'PartialStatement':
      case 'PartialBlockStatement':
        requirePartial(node['name'] as Node)
        readMembers(node, ['params', 'hash', 'program'], scope)
        break
      case 'MustacheStatement':
        if (isHtml && node['escaped'] === false) throw new Error('{{{…}}} and {{&…}} are not allowed because all HTML output is escaped')
        // With parameters, the path is the name of a helper.
        readMembers(node, (node['params'] as Node[]).length > 0 ? ['params', 'hash'] : ['path', 'params', 'hash'], scope)
        break
      case 'SubExpression':
        readMembers(node, ['params', 'hash'], scope)
        break
      default:
        readMembers(node, ['body', 'pairs', 'value'], scope)
    }
  }

  const readMembers = (node: Node, members: readonly string[], scope: Scope): void => {
    for (const value of members.flatMap((member) => node[member])) if (isNode(value)) read(value, scope)
  }

  const requirePartial = (name: Node): void => {
    const original = `${name['original'] ?? ''}`
    if (!isHtml || name.type !== 'PathExpression' || !(original in htmlPartials)) throw new Error(`unknown partial ${original}`)
  }

  const readBlock = (node: Node, scope: Scope): void => {
    const helper = (node['path'] as Path).parts[0] ?? ''
    if (!blockHelpers.has(helper)) throw new Error(`unknown helper {{#${helper}}}; use ${[...blockHelpers].join(', ')}`)
    const params = node['params'] as readonly Node[]
    // A block copes with a missing value, which is why its parameters are not required.
    const names = params.flatMap((param) => (param.type === 'PathExpression' ? (toOuterPath(param as Path, scope)?.slice(0, 1) ?? []) : []))
    const tested = new Set([...scope.tested, ...names])
    for (const param of params) read(param, { ...scope, tested })
    for (const branch of ['program', 'inverse'] as const) {
      const program = node[branch] as (Node & { blockParams?: readonly string[] }) | undefined
      if (!program) continue
      const isInner = branch === 'program' && (helper === 'each' || helper === 'with')
      const isTested = helper === 'unless' ? branch === 'inverse' : branch === 'program'
      read(program, {
        depth: isInner ? scope.depth + 1 : scope.depth,
        tested: isTested ? tested : scope.tested,
        bound: new Set([...scope.bound, ...(program.blockParams ?? [])]),
      })
    }
  }

  return { read }
}

/** The names that lead from the template's own data to what the path means; null when it means something else. */
const toOuterPath = ({ data, depth, parts }: Path, scope: Scope): readonly string[] | null => {
  if (data) return parts[0] === 'root' && parts.length > 1 ? parts.slice(1) : null
  const [name] = parts
  return name === undefined || depth !== scope.depth || (depth === 0 && scope.bound.has(name)) ? null : parts
}

const isNode = (value: unknown): value is Node => typeof value === 'object' && value !== null && typeof (value as Node).type === 'string'
