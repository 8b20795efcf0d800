// First step of analyzing a transcript: numbered sentences, each with the speaker and times of the segment it stands in.

import type { Transcript } from './meeting.js'

/** One sentence. `index` counts from 0 through the whole transcript; times are those of the segment around it. */
export interface Sentence {
  readonly index: number
  readonly text: string
  readonly startMs?: number
  readonly endMs?: number
  readonly speakerId?: string
}

/** Speech recognition may give pages without a full stop; longer stretches are cut at a comma or a space. */
const lengthMax = 400
/** Node 20's segmenter takes minutes for one text of 100,000 characters and a moment for the same text in pieces. */
const pieceMax = 4000

// ICU ends a sentence after these; the name or example that follows belongs to it.
const abbreviation = /(?:^|\s|\()(?:Dr|Mr|Mrs|Ms|Prof|St|Jr|Sr|vs|No|e\.g|i\.e|approx|Inc|Ltd|Co)\.\s*$/
const sentenceEnd = /[。！？!?…\n]["'”’」』）)]{0,3}\s{0,3}|\.\s{1,3}/g
const breaks = /[,;:，；：、\s]/

const segmenter = new Intl.Segmenter('en', { granularity: 'sentence' })

/** Splits a transcript. The same transcript gives the same sentences and numbers. */
export const toSentences = (transcript: Transcript): Sentence[] => {
  const sentences: Sentence[] = []
  for (const segment of transcript.segments ?? []) {
    const { startMs, endMs, speakerId } = segment
    for (const text of split(segment.text)) sentences.push({ index: sentences.length, text, startMs, endMs, speakerId })
  }
  for (const text of split(transcript.text ?? '')) sentences.push({ index: sentences.length, text })
  return sentences
}

const split = (text: string): string[] => {
  const found: string[] = []
  let open = ''
  for (const piece of toPieces(text)) {
    for (const { segment } of segmenter.segment(piece)) {
      open += segment
      if (abbreviation.test(open.slice(-12))) continue
      found.push(open)
      open = ''
    }
  }
  found.push(open)
  return found
    .flatMap(cut)
    .map((sentence) => sentence.trim())
    .filter((sentence) => /[\p{L}\p{N}]/u.test(sentence))
}

/** Pieces that end with a sentence, or anywhere when none ends. */
const toPieces = (text: string): string[] => {
  const pieces: string[] = []
  for (let start = 0; start < text.length; ) {
    const window = text.slice(start, start + pieceMax)
    const end = start + pieceMax < text.length ? (lastEnd(window) ?? cutPoint(window, pieceMax)) : window.length
    pieces.push(window.slice(0, end))
    start += end
  }
  return pieces
}

const lastEnd = (text: string): number | undefined => {
  let end: number | undefined
  for (const match of text.matchAll(sentenceEnd)) end = match.index + match[0].length
  return end
}

const cut = (sentence: string): string[] => {
  const pieces: string[] = []
  let rest = sentence
  while (rest.length > lengthMax) {
    const end = cutPoint(rest, lengthMax)
    pieces.push(rest.slice(0, end))
    rest = rest.slice(end)
  }
  pieces.push(rest)
  return pieces
}

/** At most `max`, after a comma or a space if there is one in the second half. */
const cutPoint = (text: string, max: number): number => {
  for (let at = max - 1; at > max / 2; at--) if (breaks.test(text.charAt(at))) return at + 1
  // Not between the two halves of one character.
  return /[\uD800-\uDBFF]/.test(text.charAt(max - 1)) ? max - 1 : max
}
