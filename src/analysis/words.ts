// Words of a sentence: Chinese through jieba, everything else through the Unicode segmenter.

import { enStopWords, zhStopWords } from './stop-words.js'

/** One word. `key` is what equal words share: lower case, straight apostrophe. */
export interface Word {
  readonly text: string
  readonly key: string
  readonly script: 'han' | 'other'
}

/** A word splitter for runs of Chinese characters. */
export type CutChinese = (text: string) => string[]

const han = /\p{Script=Han}/u
const runs = /\p{Script=Han}+|\P{Script=Han}+/gu
const clauses = /[,;:!?，；：！？。、…\n]+/u
const numeral = /^(?:[\p{N}][\p{N}.,:%/_-]*|第?[零〇一二两三四五六七八九十百千万亿]+[个年月日号点分次位种项条天周]?)$/u

const words = new Intl.Segmenter('en', { granularity: 'word' })

/** Splits runs of Chinese with ICU's dictionary, which breaks up names and terms: for when jieba cannot be loaded. */
export const cutWithSegmenter: CutChinese = (text) => [...words.segment(text)].map(({ segment }) => segment)

/**
 * Loads jieba with its dictionary: about 0.2 s and 80 MB, once per thread.
 * Out: null where there is no build of it for this platform.
 */
export const loadJieba = async (): Promise<CutChinese | null> => {
  try {
    const [{ Jieba }, { dict }] = await Promise.all([import('@node-rs/jieba'), import('@node-rs/jieba/dict.js')])
    const jieba = Jieba.withDict(dict)
    return (text) => jieba.cut(text, true)
  } catch {
    // The caller says so in the result's warnings.
    return null
  }
}

export const hasChinese = (text: string): boolean => han.test(text)

/** Splits sentences into words with the given splitter for Chinese. */
export const createWords = (cutChinese: CutChinese) => {
  const toWords = (text: string): Word[] => {
    const found: Word[] = []
    for (const [run] of text.matchAll(runs)) {
      if (han.test(run)) {
        for (const word of cutChinese(run)) found.push({ text: word, key: word, script: 'han' })
      } else {
        for (const { segment, isWordLike } of words.segment(run)) {
          if (isWordLike) found.push({ text: segment, key: segment.toLowerCase().replaceAll('’', "'"), script: 'other' })
        }
      }
    }
    return found
  }
  return {
    /** Every word, by clause: what reaches over a comma does not belong together. */
    byClause: (text: string): Word[][] =>
      text
        .split(clauses)
        .map(toWords)
        .filter((clause) => clause.length > 0),
  }
}

/** Whether a word says something about the subject: no stop word, no numeral, at least two characters. */
export const isContent = ({ key, script }: Word): boolean =>
  key.length >= 2 && !numeral.test(key) && !(script === 'han' ? zhStopWords : enStopWords).has(key)
