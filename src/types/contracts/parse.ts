// Reads the schema of a job type registered at run time: refuses what is outside the subset, and resolves its references.

import { isTooDeepValue } from '../../runtime/json-depth.js'
import { depthMax } from '../../runtime/json-measure.js'
import { isObject } from '../../runtime/json-text.js'
import { toFragment, toPointer } from '../field-problems.js'
import { type Below, type Contract, limits, type Schema, schemasBelow, typesOf } from './contract.js'
import { formatCharsMax } from './formats.js'
import { adviceFor, annotations, keywords, rootKeywords } from './keywords.js'
import { estimateSize } from './pattern.js'

/** One thing that keeps a schema from being a contract. `pointer` is a JSON Pointer fragment into the schema; `rule` names the bound. */
export interface ContractFault {
  readonly pointer: string
  readonly rule: string
  /** What to write instead. */
  readonly detail: string
}

export type ParsedContract =
  | { readonly kind: 'contract'; readonly contract: Contract }
  | { readonly kind: 'refused'; readonly faults: readonly ContractFault[] }

const faultsMax = 50
const draft = 'https://json-schema.org/draft/2020-12/schema'

/** Never throws; takes time in proportion to the schema, which may come from anybody. At most 50 faults. */
export const parseContract = (schema: unknown): ParsedContract => {
  const faults = findFaults(schema)
  if (faults.length > 0) return { kind: 'refused', faults: faults.slice(0, faultsMax) }
  const contract = createResolver(schema as Schema)(schema as Schema)
  const fault = expansionFault(contract)
  return fault ? { kind: 'refused', faults: [fault] } : { kind: 'contract', contract }
}

const findFaults = (schema: unknown): ContractFault[] => {
  if (!isObject(schema)) return [{ pointer: '#', rule: 'schema', detail: 'must be an object that holds a schema' }]
  if (isTooDeepValue(schema, depthMax)) return [{ pointer: '#', rule: 'depth', detail: `is nested deeper than ${depthMax} levels` }]
  const bytes = Buffer.byteLength(JSON.stringify(schema))
  if (bytes > limits.bytes) return [{ pointer: '#', rule: 'size', detail: `has ${bytes} bytes; at most ${limits.bytes} are allowed` }]
  const faults: ContractFault[] = []
  let nodes = 0
  const patterns = new Set<string>()
  let patternSize = 0
  const definitions = isObject(schema['$defs']) ? schema['$defs'] : {}
  const visit = (node: unknown, path: readonly string[], depth: number) => {
    nodes++
    if (faults.length >= faultsMax || nodes > limits.nodes || patternSize > limits.patternSizes) return
    const report = (rule: string, detail: string, ...below: string[]): void => {
      faults.push({ pointer: toFragment(toPointer([...path, ...below])), rule, detail })
    }
    if (depth > limits.depth) return report('depth', `is nested deeper than ${limits.depth} schemas`)
    if (!isObject(node)) return report('schema', 'must be an object that holds a schema: true and false say too little')
    // Before the pattern is compiled.
    const { pattern } = node
    if (typeof pattern === 'string' && pattern.length <= limits.patternChars && !patterns.has(pattern)) {
      patterns.add(pattern)
      patternSize += estimateSize(pattern)
    }
    const isRoot = path.length === 0
    if (patternSize > limits.patternSizes)
      return report(
        'pattern',
        `makes the patterns too much to check: at most ${limits.patternSizes} parts, with all repetitions written out`,
        'pattern',
      )
    // What is to be said of a schema is said at once; only keywords whose values make no sense stand in the way.
    if (checkKeywords(node, isRoot, report)) checkNode(node, definitions, report)
    for (const [tokens, below] of schemasBelow(node)) visit(below, [...path, ...tokens], depth + 1)
    if (isRoot) for (const [name, below] of Object.entries(definitions)) visit(below, ['$defs', name], depth + 1)
  }
  visit(schema, [], 1)
  if (nodes > limits.nodes) return [{ pointer: '#', rule: 'nodes', detail: `consists of more than ${limits.nodes} schemas` }]
  return faults.length > 0 ? faults : cycleFaults(schema, definitions)
}

type Report = (rule: string, detail: string, ...below: string[]) => void

/** Each keyword by itself; false if the value of one is not what it may be. */
const checkKeywords = (node: Schema, isRoot: boolean, report: Report): boolean => {
  const types = keywords['type']?.fault(node['type']) ? [] : typesOf(node as Contract)
  let makesSense = true
  for (const [name, value] of Object.entries(node)) {
    const keyword = Object.hasOwn(keywords, name) ? keywords[name] : undefined
    if (isRoot && name === '$schema') {
      if (String(value).replace(/#$/, '') !== draft) report('keyword', `must be ${draft}, or absent`, name)
    } else if (isRoot && rootKeywords.has(name)) {
      if (!isObject(value)) report('keyword', 'must be an object of schemas', name)
    } else if (name === 'discriminator') {
      if (!node['oneOf']) report('keyword', 'remove it: it belongs beside oneOf', name)
    } else if (!keyword) {
      report('keyword', `is not part of the subset: ${adviceFor(name)}`, name)
    } else {
      const fault = keyword.fault(value)
      if (fault) {
        report(name, fault, name)
        makesSense &&= name === 'pattern' || name === 'format'
      } else if (keyword.of && !keyword.of.some((type) => types.includes(type as never)))
        report('keyword', `applies to type ${keyword.of.join(' or ')} only: add the type, or remove it`, name)
    }
  }
  return makesSense
}

/** How the keywords of one schema fit each other. */
const checkNode = (node: Schema, definitions: Schema, report: Report) => {
  const forms = ['$ref', 'oneOf', 'anyOf', 'enum', 'const', 'type'].filter((name) => node[name] !== undefined)
  if (forms.length === 0) return report('type', 'allows any value: add type, or enum, const, oneOf, anyOf or $ref')
  for (const name of ['$ref', 'oneOf', 'anyOf']) if (node[name] !== undefined) return checkCombination(node, name, definitions, report)
  const types = typesOf(node as Contract)
  if (types.includes('object')) checkObject(node, report)
  if (types.includes('array')) checkArray(node, report)
  if (types.includes('string')) checkString(node, report)
  if (types.includes('integer') || types.includes('number')) checkNumber(node, report)
}

const checkCombination = (node: Schema, form: string, definitions: Schema, report: Report) => {
  for (const name of Object.keys(node)) {
    // What a union of objects is anyway.
    const isHarmless = form !== '$ref' && ((name === 'type' && node['type'] === 'object') || name === 'required')
    if (name === form || annotations.has(name) || rootKeywords.has(name) || isHarmless) continue
    return report('combination', `cannot be combined with ${form}: move it into the schema${form === '$ref' ? '' : 's'} there`, name)
  }
  if (form === '$ref') {
    const name = definitionOf(node['$ref'] as string)
    if (name === undefined || !Object.hasOwn(definitions, name))
      report('$ref', 'must be #/$defs/… and name a definition at the top of the schema', '$ref')
  }
  if (form === 'oneOf') {
    const fault = discriminatorFault(node['oneOf'] as unknown[], definitions)
    if (fault) report('oneOf', fault, 'oneOf')
  }
}

const checkObject = (node: Schema, report: Report): void => {
  const { properties = {}, required = [], additionalProperties: others, maxProperties } = node as Contract
  if (others === undefined || (others as unknown) === true) {
    report('closed', 'must be closed: add "additionalProperties": false, or, for a map, the schema of its values and maxProperties')
  } else if (others !== false && maxProperties === undefined) {
    report('closed', `is a map, which must be bounded: add maxProperties (at most ${limits.mapMembers})`)
  }
  const unknown = required.find((name) => !Object.hasOwn(properties, name))
  if (unknown !== undefined && others === false) report('required', 'names a member that properties does not have', 'required')
}

const checkArray = (node: Schema, report: Report): void => {
  const { items, prefixItems, maxItems, minItems = 0, uniqueItems } = node as Contract
  // Entries that cannot be there need no description.
  const isAllDescribed = prefixItems && maxItems !== undefined && maxItems <= prefixItems.length
  if (items === undefined && !isAllDescribed) report('items', 'must describe its entries: add items (or, with prefixItems, "items": false)')
  if (items === false && !prefixItems) report('items', 'allows no entries at all: describe them', 'items')
  if (maxItems === undefined && items !== false) report('maxItems', 'must be bounded: add maxItems')
  if (uniqueItems && (maxItems ?? prefixItems?.length ?? 0) > limits.uniqueItems)
    report('uniqueItems', `needs a maxItems of at most ${limits.uniqueItems}`, 'uniqueItems')
  if (maxItems !== undefined && minItems > maxItems) report('minItems', 'is above maxItems', 'minItems')
}

const checkString = (node: Schema, report: Report): void => {
  const { maxLength, minLength = 0, pattern, format } = node as Contract
  if (maxLength === undefined && format === undefined && node['enum'] === undefined && node['const'] === undefined)
    report('maxLength', 'must be bounded: add maxLength (or enum, const or format)')
  if (pattern !== undefined && format === undefined && (maxLength ?? Number.POSITIVE_INFINITY) > limits.patternedText)
    report('pattern', `needs a maxLength of at most ${limits.patternedText} beside it`, 'pattern')
  const charsMax = Math.min(maxLength ?? limits.patternedText, format === undefined ? limits.patternedText : formatCharsMax(format))
  if (typeof pattern === 'string' && estimateSize(pattern) * charsMax > limits.patternWork)
    report('pattern', 'takes too long to check against texts of this length: repeat less, or lower maxLength', 'pattern')
  if (maxLength !== undefined && minLength > maxLength) report('minLength', 'is above maxLength', 'minLength')
}

const checkNumber = (node: Schema, report: Report): void => {
  if (!typesOf(node as Contract).includes('integer')) return
  for (const name of ['minimum', 'maximum', 'exclusiveMinimum', 'exclusiveMaximum']) {
    const value = node[name]
    if (typeof value === 'number' && Math.abs(value) > Number.MAX_SAFE_INTEGER)
      report(name, 'is outside of what an integer can be exactly (2^53 - 1)', name)
  }
}

/** Each branch is an object that requires one member, the same in all, whose value is a constant of its own. */
const discriminatorFault = (branches: readonly unknown[], definitions: Schema): string | null => {
  const constants = branches.map((branch) => constantsOf(branch, definitions))
  const [first] = constants
  const isTag = (name: string) => {
    const values = constants.map((each) => each?.get(name))
    return !values.includes(undefined) && new Set(values).size === branches.length
  }
  if (first && [...first.keys()].some(isTag)) return null
  return 'needs a member that tells its branches apart: in every branch required, and with a const of its own; else use anyOf'
}

/** The required members of an object that are constants; undefined for what is no object. */
const constantsOf = (branch: unknown, definitions: Schema, refs = 0): Map<string, unknown> | undefined => {
  if (!isObject(branch) || refs > limits.depth) return undefined
  if (typeof branch['$ref'] === 'string') return constantsOf(definitionNamed(branch['$ref'], definitions), definitions, refs + 1)
  const { properties, required } = branch
  if (branch['type'] !== 'object' || !isObject(properties) || !Array.isArray(required)) return undefined
  const constants = required.map((name): [string, unknown] => [name, constantOf(properties[name])])
  return new Map(constants.filter(([, value]) => value !== undefined))
}

const constantOf = (schema: unknown): unknown => {
  if (!isObject(schema)) return undefined
  const { const: constant, enum: values } = schema
  return constant ?? (Array.isArray(values) && values.length === 1 ? values[0] : undefined)
}

/** The definition that a reference names; undefined when it leads elsewhere. */
export const definitionOf = (ref: string): string | undefined => {
  const [, token] = /^#\/\$defs\/([^/]+)$/.exec(ref) ?? []
  if (token === undefined) return undefined
  try {
    return decodeURIComponent(token).replaceAll('~1', '/').replaceAll('~0', '~')
  } catch {
    return undefined
  }
}

const definitionNamed = (ref: string, definitions: Schema): unknown => {
  const name = definitionOf(ref)
  return name !== undefined && Object.hasOwn(definitions, name) ? definitions[name] : undefined
}

/** References that lead back to themselves. */
const cycleFaults = (schema: Schema, definitions: Schema): ContractFault[] => {
  const state = new Map<string, 'open' | 'done'>()
  const leadsBack = (node: unknown): boolean => {
    if (!isObject(node)) return false
    const name = typeof node['$ref'] === 'string' ? definitionOf(node['$ref']) : undefined
    return (name !== undefined && entersCycle(name)) || schemasBelow(node).some(([, below]) => leadsBack(below))
  }
  const entersCycle = (name: string): boolean => {
    if (state.get(name) === 'open') return true
    if (state.get(name) === 'done') return false
    state.set(name, 'open')
    const found = leadsBack(definitions[name])
    state.set(name, 'done')
    return found
  }
  const name = Object.keys(definitions).find(entersCycle)
  if (name !== undefined || leadsBack(schema))
    return [
      {
        pointer: toFragment(toPointer(['$defs', name ?? ''])),
        rule: '$ref',
        detail: 'refers to itself: write out as many levels as are needed',
      },
    ]
  return []
}

/** Gives each schema as a contract; a definition becomes one object, however often it is referred to. */
const createResolver = (root: Schema) => {
  const definitions = (root['$defs'] ?? {}) as Readonly<Record<string, Schema>>
  const resolved = new Map<string, Contract>()
  const definition = (name: string): Contract => {
    const known = resolved.get(name) ?? resolve(definitions[name] as Schema)
    resolved.set(name, known)
    return known
  }
  const resolve = (schema: Schema): Contract => {
    const { $ref, $defs: _definitions, $schema: _draft, $comment: _comment, discriminator: _discriminator, ...own } = schema
    if (typeof $ref === 'string') {
      const target = definition(definitionOf($ref) as string)
      return Object.keys(own).length > 0 ? { ...target, ...own } : target
    }
    const copy: Record<string, unknown> = { ...own }
    for (const [[name, token], below] of schemasBelow(own)) {
      if (token === undefined) copy[name as string] = resolve(below as Schema)
      else if (name === 'properties') copy['properties'] = { ...(copy['properties'] as object), [token]: resolve(below as Schema) }
      else copy[name as string] = (copy[name as string] as unknown[]).with(Number(token), resolve(below as Schema))
    }
    return copy
  }
  return resolve
}

/** With all references written out a contract may be too much to check against, or too deep. */
const expansionFault = (contract: Contract): ContractFault | null => {
  const known = new Map<Contract, { nodes: number; depth: number }>()
  const measure = (node: Contract): { nodes: number; depth: number } => {
    const found = known.get(node)
    if (found) return found
    const below = schemasBelow(node as Schema).map(([, each]: Below) => measure(each as Contract))
    const nodes = below.reduce((sum, each) => sum + each.nodes, 1)
    const depth = 1 + Math.max(0, ...below.map((each) => each.depth))
    known.set(node, { nodes, depth })
    return { nodes, depth }
  }
  const { nodes, depth } = measure(contract)
  const written = 'with every $ref replaced by its definition'
  if (nodes > limits.expandedNodes)
    return { pointer: '#', rule: 'nodes', detail: `consists of ${nodes} schemas ${written}; at most ${limits.expandedNodes} are allowed` }
  if (depth > limits.depth) return { pointer: '#', rule: 'depth', detail: `is nested deeper than ${limits.depth} schemas ${written}` }
  return null
}
