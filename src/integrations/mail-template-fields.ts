// Reads from an operator's templates which data they want, so that a submission can be checked before it is accepted.

import { type TObject, Type } from '@sinclair/typebox'
import { closed } from '../schemas/common.js'
import { blockHelpers } from './mail-compiler.js'
import { htmlPartials } from './mail-layout.js'

/** Names that every template can use without being given them. */
export const ambientFields: ReadonlySet<string> = new Set(['locale', 'subject', 'footer'])

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

/**
 * A closed schema of what the given syntax trees read: a member is required where some tree prints it without asking
 * `{{#if member}}` first. Values may be anything JSON can say.
 * Throws an Error for what no template may do: unescaped HTML, blocks and partials that are not there.
 */
export const toDataSchema = (trees: readonly { readonly tree: unknown; readonly isHtml: boolean }[]): TObject => {
  const required = new Map<string, boolean>()
  const note = (name: string, isRequired: boolean) => {
    if (!ambientFields.has(name)) required.set(name, isRequired || required.get(name) === true)
  }
  for (const { tree, isHtml } of trees) createReader(note, isHtml).read(tree as Node, { depth: 0, tested: new Set(), bound: new Set() })
  const members = [...required].map(([name, isRequired]) => [name, isRequired ? Type.Unknown() : Type.Optional(Type.Unknown())] as const)
  return Type.Object(Object.fromEntries(members), closed)
}

const createReader = (note: (name: string, isRequired: boolean) => void, isHtml: boolean) => {
  const read = (node: Node, scope: Scope): void => {
    switch (node.type) {
      case 'PathExpression': {
        const name = toTopLevelName(node as Path, scope)
        if (name !== null) note(name, !scope.tested.has(name))
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
        if (isHtml && node['escaped'] === false) throw new Error('{{{…}}} and {{&…}} are not allowed, all HTML output is escaped')
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
    if (!isHtml || name.type !== 'PathExpression' || !(original in htmlPartials))
      throw new Error(`the partial ${original} is not known here`)
  }

  const readBlock = (node: Node, scope: Scope): void => {
    const helper = (node['path'] as Path).parts[0] ?? ''
    if (!blockHelpers.has(helper)) throw new Error(`{{#${helper}}} is not known: there are ${[...blockHelpers].join(', ')}`)
    const params = node['params'] as readonly Node[]
    // A block copes with a missing value, which is why its parameters are not required.
    const names = params.flatMap((param) => (param.type === 'PathExpression' ? (toTopLevelName(param as Path, scope) ?? []) : []))
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

const toTopLevelName = ({ data, depth, parts }: Path, scope: Scope): string | null => {
  if (data) return parts[0] === 'root' ? (parts[1] ?? null) : null
  const name = parts[0]
  if (name === undefined || depth !== scope.depth || (depth === 0 && scope.bound.has(name))) return null
  return name
}

const isNode = (value: unknown): value is Node => typeof value === 'object' && value !== null && typeof (value as Node).type === 'string'
