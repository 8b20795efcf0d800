// The whole extractive analysis of one transcript as one pure function; slow for long ones, so it runs in a worker thread.

import { createHash } from 'node:crypto'
import { type ActionItem, toActionItems } from './action-items.js'
import { type Keyword, toKeywords } from './keywords.js'
import type { Transcript } from './meeting.js'
import { type Sentence, toSentences } from './sentences.js'
import { type Language, type Sentiment, toSentiment } from './sentiment.js'
import { type TalkTime, toTalkTime } from './talk-time.js'
import { toSummary } from './text-rank.js'
import { type CutChinese, createWords, cutWithSegmenter, isContent, type Word } from './words.js'

export const analysisParts = ['summary', 'keywords', 'sentiment', 'action-items', 'talk-time'] as const
export type AnalysisPart = (typeof analysisParts)[number]

export interface AnalysisRequest {
  readonly transcript: Transcript
  /** What to find out; the rest is left out of the answer. */
  readonly parts: readonly AnalysisPart[]
  /** `auto` reads every word by its script; `zh` and `en` apply the rules of that language alone. */
  readonly language: 'auto' | 'zh' | 'en'
  /** Sentences in the summary. */
  readonly maxSentences: number
  readonly maxKeywords: number
  /** Return every sentence too, for those who number them elsewhere. */
  readonly withSentences?: boolean
}

export interface Extraction {
  /** As asked for; with `auto` the one with more words. */
  readonly language: 'zh' | 'en'
  /** Words that say something about the subject. 0: there is nothing to analyze. */
  readonly contentWords: number
  /** Of the text, or of the segments as a JSON array of [speakerId, speakerName or null, startMs, endMs, text]. */
  readonly transcriptSha256: string
  readonly summary?: readonly Sentence[]
  readonly keywords?: readonly Keyword[]
  readonly sentiment?: Sentiment
  readonly actionItems?: readonly ActionItem[]
  /** null when the transcript has no times. */
  readonly talkTime?: TalkTime | null
  readonly sentences?: readonly Sentence[]
  readonly warnings: readonly string[]
}

export interface ExtractSettings {
  /** null: jieba could not be loaded. */
  readonly cutChinese: CutChinese | null
  /** More sentences than this are ranked part by part. */
  readonly sentencesMax: number
}

/** The same transcript, options and settings give the same answer, byte for byte once serialized. */
export const extract = (request: AnalysisRequest, { cutChinese, sentencesMax }: ExtractSettings): Extraction => {
  const { transcript, maxSentences, maxKeywords } = request
  const asked = new Set(request.parts)
  const words = createWords(cutChinese ?? cutWithSegmenter)
  const sentences = toSentences(transcript)
  const clauses = sentences.map(({ text }) => words.byClause(text))
  const everyWord = clauses.map((found) => found.flat())
  const isRead = (word: Word): boolean => request.language !== 'en' || word.script === 'other'
  const content = everyWord.map((found) => found.filter((word) => isRead(word) && isContent(word)))
  const rules: Language = request.language === 'auto' ? 'both' : request.language
  const warnings: string[] = []
  if (!cutChinese && everyWord.some((found) => found.some(({ script }) => script === 'han'))) {
    warnings.push('Chinese text was segmented without jieba, so keywords may be fragments.')
  }
  const sentiment = asked.has('sentiment')
    ? toSentiment(
        sentences.flatMap(({ text }) => words.byClause(text)),
        rules,
      )
    : undefined
  if (sentiment?.hits === 0) warnings.push('No word with a known sentiment occurs, so the score is meaningless.')
  const talkTime = asked.has('talk-time') ? toTalkTime(transcript.segments ?? []) : undefined
  if (talkTime === null) warnings.push('The transcript has no timestamps, so there is no talk time.')
  return {
    language: request.language === 'auto' ? mainLanguage(everyWord) : request.language,
    contentWords: content.reduce((sum, found) => sum + found.length, 0),
    transcriptSha256: toDigest(transcript),
    ...(asked.has('summary') ? { summary: summarize(sentences, content, maxSentences, sentencesMax) } : {}),
    ...(asked.has('keywords') ? { keywords: toKeywords(content, maxKeywords) } : {}),
    ...(sentiment ? { sentiment } : {}),
    ...(asked.has('action-items') ? { actionItems: toActionItems(sentences, rules) } : {}),
    ...(talkTime !== undefined ? { talkTime } : {}),
    ...(request.withSentences ? { sentences } : {}),
    warnings,
  }
}

const summarize = (sentences: readonly Sentence[], content: readonly Word[][], max: number, sentencesMax: number): Sentence[] => {
  const candidates = sentences.map(({ index, text }) => ({
    index,
    text: text.toLowerCase(),
    keys: new Set((content[index] ?? []).map(({ key }) => key)),
  }))
  return toSummary(candidates, max, sentencesMax).map((index) => sentences[index] as Sentence)
}

const mainLanguage = (sentences: readonly Word[][]): 'zh' | 'en' => {
  let chinese = 0
  let others = 0
  for (const { script } of sentences.flat()) {
    if (script === 'han') chinese++
    else others++
  }
  return chinese > others ? 'zh' : 'en'
}

const toDigest = ({ text, segments }: Transcript): string => {
  const parts = segments?.map((each) => [each.speakerId, each.speakerName ?? null, each.startMs, each.endMs, each.text])
  return createHash('sha256')
    .update(text ?? JSON.stringify(parts))
    .digest('hex')
}
