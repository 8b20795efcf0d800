// Writes TypeScript types of the data and results of job types, from their JSON Schemas.

/** What is read of a job type, as `GET /v1/job-types` gives it. */
export interface DescribedType {
  readonly type: string
  readonly version: number
  readonly description: string
  readonly dataSchema: unknown
  /** Null when any result is allowed. */
  readonly resultSchema: unknown
}

type Schema = Readonly<Record<string, unknown>>

const head = `// Data and results of job types, written by \`jobgate types pull\`. Do not edit: pull again when a type changes.
`

const tail = `
export type JobTypeName = keyof JobTypes

/** What \`POST /v1/jobs\` takes; \`type\` determines the data. */
export type JobSubmission<Name extends JobTypeName = JobTypeName> = {
  [T in Name]: { type: T; data: JobTypes[T]['data'] }
}[Name]
`

/** A module. The same types give the same text, in whatever order they come. */
export const toTypeScript = (types: readonly DescribedType[]): string => {
  const sorted = types.toSorted((one, other) => (one.type < other.type ? -1 : 1))
  const entries = sorted.map((each) => {
    const names = { data: `${toTypeName(each.type)}Data`, result: `${toTypeName(each.type)}Result` }
    const member = `${toDoc(each.description, '  ')}  ${toKey(each.type)}: { data: ${names.data}; result: ${names.result} }`
    const declarations = [
      toDeclarations(names.data, each.dataSchema, `Data of \`${each.type}\`, version ${each.version}.`),
      toDeclarations(names.result, each.resultSchema ?? {}, `Result of \`${each.type}\`, version ${each.version}.`),
    ]
    return { member, declarations }
  })
  const map = `\n/** Job types by name. */\nexport interface JobTypes {\n${entries.map(({ member }) => member).join('\n')}\n}\n`
  return `${head}${entries.flatMap(({ declarations }) => declarations).join('')}${map}${tail}`
}

/** `resize-image` becomes `ResizeImage`. No two names of job types become the same: what is left of hyphens becomes `_`. */
const toTypeName = (name: string): string =>
  name.replace(/(?:^|-)([a-z])/g, (_match, letter: string) => letter.toUpperCase()).replaceAll('-', '_')

/** A schema and its definitions, each as a type of its own; only names of definitions have a `$`. */
const toDeclarations = (name: string, schema: unknown, doc: string): string => {
  const { $defs = {}, ...root } = schema as Schema
  const nameOf = (definition: string) =>
    `${name}$${definition.replace(/\W/gu, (char) => `$${(char.codePointAt(0) as number).toString(16)}$`)}`
  const definitions = Object.entries($defs as Readonly<Record<string, Schema>>)
  return [
    ...definitions.map(([key, each]) => toDeclaration(nameOf(key), each, nameOf, each['description'])),
    toDeclaration(name, root, nameOf, doc),
  ].join('')
}

type NameOf = (definition: string) => string

const toDeclaration = (name: string, schema: Schema, nameOf: NameOf, doc: unknown): string => {
  const text = toType(schema, nameOf, '')
  const isInterface = text.startsWith('{') && text.endsWith('}') && isPlainObject(schema)
  return `\n${toDoc(doc, '')}export ${isInterface ? `interface ${name} ${text}` : `type ${name} = ${text}`}\n`
}

const isPlainObject = ({ type, $ref, oneOf, anyOf }: Schema): boolean => type === 'object' && !$ref && !oneOf && !anyOf

const toDoc = (text: unknown, indent: string, isDeprecated = false): string => {
  const lines = typeof text === 'string' ? text.replaceAll('*/', '*\\/').split(/\r\n|[\n\r\u2028\u2029]/) : []
  const all = isDeprecated ? [...lines, '@deprecated'] : lines
  if (all.length === 0) return ''
  if (all.length === 1) return `${indent}/** ${all[0]} */\n`
  return `${indent}/**\n${all.map((line) => `${indent} * ${line}`.trimEnd()).join('\n')}\n${indent} */\n`
}

const toKey = (name: string): string => (/^[A-Za-z_]\w*$/.test(name) && name !== '__proto__' ? name : JSON.stringify(name))

const toType = (schema: unknown, nameOf: NameOf, indent: string): string => {
  if (typeof schema !== 'object' || schema === null) return 'unknown'
  const { $ref, const: constant, enum: values, oneOf, anyOf, type } = schema as Schema
  if (typeof $ref === 'string') return nameOf(toDefinition($ref))
  if (constant !== undefined) return JSON.stringify(constant)
  if (Array.isArray(values)) return toUnion(values.map((value) => JSON.stringify(value)))
  const branches = oneOf ?? anyOf
  if (Array.isArray(branches)) return toUnion(branches.map((branch) => toType(branch, nameOf, indent)))
  const names: readonly unknown[] = Array.isArray(type) ? type : [type]
  return toUnion(names.map((name) => toOneType(name, schema as Schema, nameOf, indent)))
}

const toUnion = (types: readonly string[]): string => [...new Set(types)].join(' | ')

const toDefinition = (ref: string): string =>
  decodeURIComponent(ref.slice(ref.lastIndexOf('/') + 1))
    .replaceAll('~1', '/')
    .replaceAll('~0', '~')

const toOneType = (type: unknown, schema: Schema, nameOf: NameOf, indent: string): string => {
  switch (type) {
    case 'object':
      return toObject(schema, nameOf, indent)
    case 'array':
      return toArray(schema, nameOf, indent)
    case 'integer':
      return 'number'
    case 'string':
    case 'number':
    case 'boolean':
    case 'null':
      return type
    default:
      return 'unknown'
  }
}

const toObject = (schema: Schema, nameOf: NameOf, indent: string): string => {
  const { properties = {}, required = [], additionalProperties, patternProperties = {} } = schema
  const below = `${indent}  `
  const members = Object.entries(properties as Readonly<Record<string, Schema>>).map(([name, member]) => ({
    doc: toDoc(member['description'], below, member['deprecated'] === true),
    key: `${toKey(name)}${(required as readonly string[]).includes(name) ? '' : '?'}`,
    type: toType(member, nameOf, below),
    isOptional: !(required as readonly string[]).includes(name),
  }))
  const others = [
    ...Object.values(patternProperties as object),
    ...(typeof additionalProperties === 'object' ? [additionalProperties] : additionalProperties === false ? [] : [true]),
  ].map((each) => toType(each, nameOf, below))
  if (members.length + others.length === 0) return 'Record<string, never>'
  const lines = members.map(({ doc, key, type }) => `${doc}${below}${key}: ${type}\n`)
  // The members that have names have to fit what is said of all.
  const index = [...others, ...members.map(({ type }) => type), ...(members.some(({ isOptional }) => isOptional) ? ['undefined'] : [])]
  if (others.length > 0) lines.push(`${below}[name: string]: ${index.includes('unknown') ? 'unknown' : toUnion(index)}\n`)
  return `{\n${lines.join('')}${indent}}`
}

const toArray = ({ items, prefixItems, minItems = 0, maxItems }: Schema, nameOf: NameOf, indent: string): string => {
  if (!Array.isArray(prefixItems)) return `Array<${toType(items, nameOf, indent)}>`
  const entries = prefixItems.map((each, at) => {
    const type = toType(each, nameOf, indent)
    return at < (minItems as number) ? type : `(${type})?`
  })
  const hasRest = items !== false && (typeof maxItems !== 'number' || maxItems > prefixItems.length)
  return `[${[...entries, ...(hasRest ? [`...Array<${toType(items, nameOf, indent)}>`] : [])].join(', ')}]`
}
