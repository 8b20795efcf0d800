// The API description without own types, as text with gaps: where their schemas, branches and examples belong.

import { createHash } from 'node:crypto'
import { jobUnions } from '../submission-schemas.js'
import { toYaml } from './yaml-text.js'

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

/** In: the description as an object. Takes some 10 ms for each notation: done once, before anybody waits. */
export const createBaseText = (document: object) => {
  const names: ReadonlySet<string> = new Set(Object.keys((document as Document).components?.schemas ?? {}))
  const marked = withMarks(document)
  const stretches: Readonly<Record<Notation, readonly Stretch[]>> = {
    json: toStretches(`${JSON.stringify(marked, null, 2)}\n`, /,(\n *)"@@([\w-]+)@@"(?:: null)?/g, ','),
    yaml: toStretches(`${toYaml(marked)}\n`, /(\n *(?:- )?)"@@([\w-]+)@@"(?:: null)?/g, ''),
  }
  const digest = createHash('sha256')
  for (const { text } of stretches.json) digest.update(text)
  return { names, stretches, digest: digest.digest() }
}

export type BaseText = ReturnType<typeof createBaseText>

/** A copy with a mark at the end of whatever own types continue. Objects that are empty have none: nothing could stand before it. */
const withMarks = (document: object): Document => {
  const copy = structuredClone(document) as Document
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
