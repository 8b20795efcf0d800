// The mood of a transcript, counted from words that carry a feeling; domain words mislead it, so it never claims much.

import { round } from './keywords.js'
import { degrees, enLexicon, negators, zhLexicon } from './lexicon.js'
import type { Word } from './words.js'

export interface Sentiment {
  readonly label: 'positive' | 'neutral' | 'negative'
  /** From -1 to 1. */
  readonly score: number
  readonly hits: number
  readonly confidence: 'low'
}

/** `both`: every word by its own script. */
export type Language = 'both' | 'zh' | 'en'

/** Longest expression, in words: `一塌糊涂` may arrive in pieces, `does not work` always does. */
const expressionMax = 4
/** How many words before an expression may turn, raise or lower it. */
const reach = 3
/** "Not great" is less bad than "bad". */
const turned = -0.75
const strongest = 5
const neutralBelow = 0.05

/** Score: mean of all hits over 5, each turned and weighted by the words before it in its clause. */
export const toSentiment = (clauses: readonly (readonly Word[])[], language: Language): Sentiment => {
  let sum = 0
  let hits = 0
  for (const clause of clauses) {
    for (const value of valuesOf(clause, language)) {
      sum += value
      hits++
    }
  }
  const score = hits === 0 ? 0 : round(sum / hits / strongest)
  const label = score >= neutralBelow ? 'positive' : score <= -neutralBelow ? 'negative' : 'neutral'
  return { label, score, hits, confidence: 'low' }
}

const valuesOf = (clause: readonly Word[], language: Language): number[] => {
  const values: number[] = []
  let open = 0
  for (let at = 0; at < clause.length; ) {
    const hit = longestHit(clause, at, language)
    if (!hit) {
      at++
      continue
    }
    values.push(weigh(hit.value, clause.slice(Math.max(open, at - reach), at)))
    at += hit.length
    // What has weighed one expression does not weigh the next.
    open = at
  }
  return values
}

const longestHit = (clause: readonly Word[], at: number, language: Language): { value: number; length: number } | null => {
  for (let length = Math.min(expressionMax, clause.length - at); length > 0; length--) {
    const words = clause.slice(at, at + length)
    const value = lookUp(words, language)
    if (value !== undefined) return { value, length }
  }
  return null
}

const lookUp = (words: readonly Word[], language: Language): number | undefined => {
  const keys = words.map(({ key }) => key)
  if (words.every(({ script }) => script === 'han')) return language === 'en' ? undefined : zhLexicon.get(keys.join(''))
  if (language === 'zh' || words.some(({ script }) => script === 'han')) return undefined
  const phrase = keys.join(' ')
  return enLexicon.get(phrase) ?? enLexicon.get(phrase.replaceAll("'", ''))
}

const weigh = (value: number, before: readonly Word[]): number => {
  const degree = before.reduce((product, { key }) => product * (degrees.get(key) ?? 1), 1)
  const sign = before.some(({ key }) => negators.has(key)) ? turned : 1
  return Math.max(-strongest, Math.min(strongest, value * degree * sign))
}
