// The API description without own types, as text with gaps: where their schemas, branches and examples belong.

import { createHash } from 'node:crypto'
import { jobUnions } from './submission-schemas.js'
import { toYamlInParts } from './yaml-text.js'

export type Notation = 'json' | 'yaml'

/** A stretch of text, and what comes before each entry of the gap behind it. The last one has no gap. */
export interface Stretch {
  readonly text: Buffer
  readonly gap?: { readonly place: string; readonly separator: string }
}

/** Places by the list or object that is continued there. */
export const places = {
  schemas: 'schemas',
  branches: (union: string): string => `${union}-branches`,
  mapping: (union: string): string => `${union}-mapping`,
  submissions: 'submissions',
  schedules: 'schedules',
} as const

interface Document {
  readonly paths?: Record<string, Record<string, { requestBody?: { content: Record<string, { examples?: Record<string, unknown> }> } }>>
  readonly components?: { readonly schemas?: Record<string, unknown> }
}

interface Union {
  readonly oneOf?: unknown[]
  readonly discriminator?: { readonly mapping?: Record<string, unknown> }
}

const toMark = (place: string): string => `@@${place}@@`

/** The paths and the schemas, each by itself. */
const partsDepth = 3

/** In: the description as an object. Takes some 10 ms. */
export const createBaseText = (document: object) => {
  const names: ReadonlySet<string> = new Set(Object.keys((document as Document).components?.schemas ?? {}))
  const marked = withMarks(document)
  const text = `${JSON.stringify(marked, null, 2)}\n`
  const json = toStretches(text, /,(\n *)"@@([\w-]+)@@"(?:: null)?/g, ',')
  let yaml: readonly Stretch[] | undefined
  return {
    names,
    digest: createHash('sha256').update(text).digest(),
    /** YAML takes longer: `pause` is called wherever others may have their turn. */
    async stretches(notation: Notation, pause: () => Promise<void>): Promise<readonly Stretch[]> {
      if (notation === 'json') return json
      yaml ??= toStretches(`${await toYamlInParts(marked, pause, partsDepth)}\n`, /(\n *(?:- )?)"@@([\w-]+)@@"(?:: null)?/g, '')
      return yaml
    },
  }
}

export type BaseText = ReturnType<typeof createBaseText>

/** A copy with a mark at the end of whatever own types continue. Objects that are empty have none: nothing could stand before it. */
const withMarks = (document: object): Document => {
  const copy = JSON.parse(JSON.stringify(document)) as Document
  const { schemas = {} } = copy.components ?? {}
  const markMembers = (object: Record<string, unknown> | undefined, place: string): void => {
    if (object && Object.keys(object).length > 0) object[toMark(place)] = null
  }
  for (const union of jobUnions) {
    const { oneOf = [], discriminator } = (schemas[union] ?? {}) as Union
    if (oneOf.length > 0) oneOf.push(toMark(places.branches(union)))
    markMembers(discriminator?.mapping, places.mapping(union))
  }
  markMembers(copy.paths?.['/v1/jobs']?.['post']?.requestBody?.content['application/json']?.examples, places.submissions)
  markMembers(copy.paths?.['/v1/schedules/{id}']?.['put']?.requestBody?.content['application/json']?.examples, places.schedules)
  markMembers(schemas, places.schemas)
  return copy
}

const toStretches = (text: string, mark: RegExp, comma: string): Stretch[] => {
  const stretches: Stretch[] = []
  let from = 0
  for (const { index, 0: whole, 1: lead = '', 2: place = '' } of text.matchAll(mark)) {
    stretches.push({ text: Buffer.from(text.slice(from, index)), gap: { place, separator: `${comma}${lead}` } })
    from = index + whole.length
  }
  return [...stretches, { text: Buffer.from(text.slice(from)) }]
}
