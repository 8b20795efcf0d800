// What @fastify/swagger 9.9 loses or gets wrong of what the routes declare, put right in the finished document.

/** Bodies ready to send, by name. */
export type Examples = Readonly<Record<string, { readonly summary: string; readonly value: unknown }>>

/** Examples of the JSON body of one operation; its path as the document writes it. */
export interface DocumentedExamples {
  readonly path: string
  readonly method: string
  readonly examples: Examples
}

interface Operation {
  readonly parameters?: { required?: boolean; readonly schema?: { readonly default?: unknown } }[]
  readonly requestBody?: { readonly content: Record<string, object> }
}

interface Document {
  readonly paths?: Record<string, Record<string, Operation>>
  readonly components?: { readonly schemas?: Record<string, object> }
}

/** In: the document, to be changed; the shared schemas by `$id`, as they were declared; the examples of all operations. */
export const correctDocument = (document: object, sources: Record<string, unknown>, examples: readonly DocumentedExamples[]): void => {
  const { paths = {}, components = {} } = document as Document
  for (const methods of Object.values(paths)) for (const operation of Object.values(methods)) releaseDefaults(operation)
  for (const [name, schema] of Object.entries(components.schemas ?? {})) {
    describeNames(schema, sources[name])
    mapTags(schema, components.schemas ?? {})
  }
  for (const each of examples) describeExamples(paths[each.path]?.[each.method], each.examples)
}

/** A handler always finds the default, so TypeBox calls the member required. A client may leave it out. */
const releaseDefaults = ({ parameters = [] }: Operation): void => {
  for (const parameter of parameters) if (parameter.schema?.default !== undefined) parameter.required = false
}

/** `x-examples` beside a `$ref` is dropped. */
const describeExamples = (operation: Operation | undefined, examples: Examples): void => {
  Object.assign(operation?.requestBody?.content['application/json'] ?? {}, { examples })
}

const refPrefix = '#/components/schemas/'

/**
 * Which value stands for which branch. Without it the names of the branches would be the values. Ajv refuses the mapping, so that the
 * schemas themselves have none.
 */
const mapTags = (schema: object, schemas: Readonly<Record<string, object>>): void => {
  const { discriminator, oneOf = [] } = schema as {
    discriminator?: { propertyName: string; mapping?: object }
    oneOf?: { $ref?: string }[]
  }
  if (!discriminator) return
  const tagged = oneOf.map(({ $ref = '' }): [string | undefined, string] => {
    const branch = schemas[$ref.slice(refPrefix.length)] as { properties?: Record<string, { const?: string; enum?: string[] }> } | undefined
    const tag = branch?.properties?.[discriminator.propertyName]
    return [tag?.const ?? tag?.enum?.[0], $ref]
  })
  if (tagged.some(([value]) => value === undefined)) return
  discriminator.mapping = Object.fromEntries(tagged as [string, string][])
}

/** TypeBox writes this for names of any kind. */
const anyName = '^(.*)$'

/** Which names members may have is dropped. `source` is the schema that `described` describes: both have the same places. */
const describeNames = (described: unknown, source: unknown): void => {
  if (typeof described !== 'object' || described === null || typeof source !== 'object' || source === null) return
  const to = described as Record<string, unknown>
  const { patternProperties = {}, additionalProperties } = source as {
    patternProperties?: Record<string, unknown>
    additionalProperties?: unknown
  }
  const [names] = Object.entries(patternProperties)
  if (names) describeNames(to['additionalProperties'], names[1])
  for (const [key, value] of Object.entries(source)) if (key !== 'additionalProperties' || !names) describeNames(to[key], value)
  if (!names || names[0] === anyName) return
  to['patternProperties'] = { [names[0]]: to['additionalProperties'] }
  if (additionalProperties === undefined) delete to['additionalProperties']
  else to['additionalProperties'] = additionalProperties
}
