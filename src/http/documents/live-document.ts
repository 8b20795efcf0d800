// The API description as it is now, own types included, in both notations: put together from pieces, so that no request waits for it.

import { createHash } from 'node:crypto'
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { JobType } from '../../types/definition.js'
import type { JobTypes } from '../../types/registry.js'
import { type BaseText, createBaseText, type Notation, places } from './base-text.js'
import { toOwnComponents, toRef } from './own-components.js'
import { toFlowText, toYamlFlow } from './yaml-text.js'

/** One state of the description in one notation. */
export interface Rendering {
  /** The text in order, in pieces that other renderings share. */
  readonly chunks: readonly Buffer[]
  readonly bytes: number
  /** A strong ETag, quotes included. */
  readonly etag: string
}

/** What one type adds, by place: entries as they are written in both notations. */
interface Piece {
  readonly entries: ReadonlyMap<string, readonly string[]>
  readonly digest: Buffer
}

/** Other requests have their turn after this. */
const sliceMs = 5

/**
 * `describe` gives the description without own types; it is asked once, by `open`, which takes some 50 ms.
 * A rendering takes time in proportion to the contracts that changed, in slices of 5 ms.
 */
export const createLiveDocument = ({ jobTypes, describe }: { jobTypes: JobTypes; describe: () => object }) => {
  let base: BaseText | undefined
  /** Types are other objects when they change: what was made of one goes with it. */
  const pieces = new WeakMap<JobType, Piece>()
  const texts = new WeakMap<JobType, Map<string, Buffer>>()
  const known = new Map<Notation, { revision: number; rendering: Promise<Rendering> }>()

  const open = (): BaseText => {
    base ??= createBaseText(describe())
    return base
  }

  const pieceOf = (type: JobType, { names }: BaseText): Piece => {
    const piece = pieces.get(type) ?? toPiece(type, names)
    pieces.set(type, piece)
    return piece
  }

  /** The entries of one type at one place, each with what comes before it. */
  const textOf = (type: JobType, { entries }: Piece, place: string, separator: string): Buffer => {
    const ofType = texts.get(type) ?? new Map<string, Buffer>()
    texts.set(type, ofType)
    const key = `${place} ${separator}`
    const isYaml = !separator.startsWith(',')
    const text =
      ofType.get(key) ??
      Buffer.from((entries.get(place) ?? []).map((entry) => `${separator}${isYaml ? toYamlFlow(entry) : entry}`).join(''))
    ofType.set(key, text)
    return text
  }

  const render = async (notation: Notation): Promise<Rendering> => {
    const text = open()
    let began = performance.now()
    const pause = async (): Promise<void> => {
      if (performance.now() - began < sliceMs) return
      await nextTurn()
      began = performance.now()
    }
    const own = jobTypes.all.filter(({ registered }) => registered).toSorted((one, other) => (one.name < other.name ? -1 : 1))
    const digest = createHash('sha256').update(text.digest)
    const chunks: Buffer[] = []
    let bytes = 0
    const add = (chunk: Buffer) => {
      if (chunk.length > 0) chunks.push(chunk)
      bytes += chunk.length
    }
    for (const type of own) {
      digest.update(pieceOf(type, text).digest)
      await pause()
    }
    for (const { text: stretch, gap } of await text.stretches(notation, pause)) {
      add(stretch)
      if (!gap) continue
      for (const type of own) {
        add(textOf(type, pieceOf(type, text), gap.place, gap.separator))
        await pause()
      }
    }
    return { chunks, bytes, etag: `"${notation}-${digest.digest('base64url').slice(0, 22)}"` }
  }

  return {
    /** Makes what all renderings share. */
    open(): void {
      open()
    },
    /** The state of now; requests at the same time share the work. */
    render(notation: Notation): Promise<Rendering> {
      const { revision } = jobTypes
      const last = known.get(notation)
      if (last?.revision === revision) return last.rendering
      const rendering = render(notation)
      known.set(notation, { revision, rendering })
      rendering.catch(() => known.delete(notation))
      return rendering
    },
  }
}

export type LiveDocument = ReturnType<typeof createLiveDocument>

const toPiece = (type: JobType, names: ReadonlySet<string>): Piece => {
  const { schemas, branches, examples } = toOwnComponents(type, names)
  const pair = (name: string, value: unknown): string => `${JSON.stringify(name)}: ${toFlowText(value)}`
  const entries = new Map<string, string[]>([[places.schemas, schemas.map(([name, schema]) => pair(name, schema))]])
  for (const [union, name] of branches) {
    entries.set(places.branches(union), [toFlowText({ $ref: toRef(name) })])
    entries.set(places.mapping(union), [pair(type.name, toRef(name))])
  }
  if (examples) {
    entries.set(places.submissions, [pair(type.name, { summary: type.description, value: examples.submission })])
    entries.set(places.schedules, [pair(type.name, { summary: type.description, value: examples.schedule })])
  }
  const digest = createHash('sha256')
  for (const texts of entries.values()) for (const text of texts) digest.update(text)
  return { entries, digest: digest.digest() }
}
