// Keywords of a transcript by TF-IDF, with its sentences as the documents.

import { isContent, type Word } from './words.js'

export interface Keyword {
  readonly term: string
  readonly score: number
}

interface Term {
  readonly first: number
  readonly key: string
  count: number
  sentences: number
  last: number
  readonly forms: Map<string, number>
}

/**
 * The `max` words that stand out, best first; equal scores keep the order of their first use.
 * Score: share of all content words times ln((1 + sentences) / (1 + sentences with the word)) + 1, four decimals.
 */
export const toKeywords = (sentences: readonly (readonly Word[])[], max: number): Keyword[] => {
  const terms = new Map<string, Term>()
  let total = 0
  for (const [index, words] of sentences.entries()) {
    for (const word of words.filter(isContent)) {
      total++
      const term = terms.get(word.key) ?? { first: terms.size, key: word.key, count: 0, sentences: 0, last: -1, forms: new Map() }
      terms.set(word.key, term)
      term.count++
      if (term.last !== index) term.sentences++
      term.last = index
      term.forms.set(word.text, (term.forms.get(word.text) ?? 0) + 1)
    }
  }
  const idf = (term: Term): number => Math.log((1 + sentences.length) / (1 + term.sentences)) + 1
  return [...terms.values()]
    .map((term) => ({ term, score: round((term.count / total) * idf(term)) }))
    .sort((a, b) => b.score - a.score || a.term.first - b.term.first)
    .slice(0, max)
    .map(({ term, score }) => ({ term: usualForm(term.forms), score }))
}

/** `API` rather than `api` where that is how it was mostly written; the earlier form wins a tie. */
const usualForm = (forms: ReadonlyMap<string, number>): string => {
  const [first = ['', 0], ...rest] = forms
  return rest.reduce((best, form) => (form[1] > best[1] ? form : best), first)[0]
}

/** To four decimals, so that results do not carry the noise of floating point. */
export const round = (value: number): number => Math.round(value * 10_000) / 10_000
