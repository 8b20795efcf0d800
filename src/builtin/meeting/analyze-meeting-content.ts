// Job type: finds out what was said in a meeting, with the vendor's own AI, a language model, or without either.

import { type AnalysisPart, analysisParts, type Extraction } from '../../analysis/extract.js'
import { analysisErrors } from '../../analysis/job-errors.js'
import type { Transcript } from '../../analysis/meeting.js'
import { done, fail, retry } from '../../types/definition.js'
import type { FieldProblem } from '../../types/field-problems.js'
import type { LlmFailure } from '../../vendors/llm/job-errors.js'
import { type LlmPart, llmParts } from '../../vendors/llm/llm.js'
import { toFailedAttempt } from '../../vendors/outcome.js'
import { readTencentAi, tencentAiParts } from '../../vendors/tencent-meeting/ai.js'
import type { TencentFailure } from '../../vendors/tencent-meeting/job-errors.js'
import { toTencentTranscript } from '../../vendors/tencent-meeting/records.js'
import type { TencentMeeting } from '../../vendors/tencent-meeting/tencent-meeting.js'
import { type BuiltinContext, type BuiltinOutcome, defineBuiltin } from '../define.js'
import { integrationVariables } from '../integrations.js'
import { AnalyzeMeetingContentData, MeetingAnalysis } from './analysis-schema.js'

/** What an engine that is not deterministic wrote is stored, and a later attempt reuses it. */
export const analyzeMeetingContent = defineBuiltin({
  name: 'analyze-meeting-content',
  queue: 'meeting',
  description:
    'Summarizes a meeting and finds keywords, sentiment, talk time and action items in its transcript, in Chinese, English or both.',
  data: AnalyzeMeetingContentData,
  result: MeetingAnalysis,
  example: {
    meetingId: 'weekly-42',
    transcript: {
      segments: [
        { speakerId: 'u1', startMs: 0, endMs: 4000, text: 'The release of the gateway slipped because the load test failed.' },
        { speakerId: 'u2', startMs: 4000, endMs: 7000, text: 'I will fix the load test by Friday.' },
      ],
    },
  },
  defaults: { attempts: 2, backoff: { type: 'exponential', delayMs: 10_000 }, priority: 'low', timeoutMs: 300_000 },
  requires: ['analyzer'],
  check: (data) => [...segmentProblems(data.transcript), ...engineProblems(data)],
  async run(data, ctx) {
    const before = await ctx.marker.read()
    if (before.state === 'done') return done(before.result as MeetingAnalysis)
    const outcome = await analyze(data, ctx)
    if (outcome.kind === 'done' && outcome.result.engine !== null && outcome.result.engine !== 'extractive-v1') {
      await ctx.marker.done(outcome.result)
    }
    return outcome
  },
})

const segmentProblems = (transcript: Transcript | undefined): FieldProblem[] =>
  (transcript?.segments ?? []).flatMap(({ startMs, endMs }, at) =>
    endMs < startMs ? [{ pointer: `#/data/transcript/segments/${at}/endMs`, detail: 'must not be less than startMs' }] : [],
  )

const engineProblems = ({ engine, recordFileId }: AnalyzeMeetingContentData): FieldProblem[] =>
  engine === 'vendor' && recordFileId === undefined ? [{ pointer: '#/data/recordFileId', detail: 'is required if engine is vendor' }] : []

type Ctx = BuiltinContext<'analyzer'>
type Outcome = BuiltinOutcome<MeetingAnalysis>
type Found = Partial<Pick<MeetingAnalysis, 'summary' | 'keywords' | 'sentiment' | 'talkTime' | 'actionItems'>>

/** How far one step came: something to go on with, or the end of the attempt. */
type Step<T> = { readonly kind: 'on'; readonly value: T } | { readonly kind: 'end'; readonly outcome: BuiltinOutcome<never> }

const on = <T>(value: T): Step<T> => ({ kind: 'on', value })
const end = (outcome: BuiltinOutcome<never>): Step<never> => ({ kind: 'end', outcome })

/** A recording that can be read. */
interface Recording {
  readonly tencentMeeting: TencentMeeting
  readonly recordFileId: string
  readonly userId: string
}

const analyze = async (data: AnalyzeMeetingContentData, ctx: Ctx): Promise<Outcome> => {
  const parts: readonly AnalysisPart[] = !data.analysisType || data.analysisType === 'full' ? analysisParts : [data.analysisType]
  const warnings: string[] = []
  const recording = openRecording(data, ctx)
  if (recording.kind === 'end') return recording.outcome

  const notes = await askVendor(data, parts, recording.value, ctx, warnings)
  if (notes.kind === 'end') return notes.outcome
  const left = parts.filter((part) => !(notes.value && isFound(notes.value, part)))

  const transcript = await findTranscript(data, recording.value, left.length === 0 || notes.value !== null, ctx, warnings)
  if (transcript.kind === 'end') return transcript.outcome
  if (!transcript.value) {
    if (!notes.value) return done(insufficient(null, warnings))
    if (left.length > 0) warnings.push("There is no transcript; anything not in Tencent Meeting's notes is omitted.")
    return done({ status: 'analyzed', engine: 'tencent-ai', ...notes.value, transcriptSha256: null, warnings })
  }

  const llm = notes.value ? on(null) : await askLlm(data, left, transcript.value, ctx, warnings)
  if (llm.kind === 'end') return llm.outcome
  const rest = left.filter((part) => !(llm.value && isFound(llm.value, part)))
  const extraction = await extract(data, transcript.value, rest, ctx)
  if (extraction.kind === 'end') return extraction.outcome
  const { language, transcriptSha256 } = extraction.value
  warnings.push(...extraction.value.warnings)
  const found = { ...toFound(extraction.value), ...llm.value, ...notes.value }
  if (!parts.some((part) => isFound(found, part))) return done(insufficient(transcriptSha256, warnings))
  const engine = notes.value ? 'tencent-ai' : llm.value ? 'llm' : 'extractive-v1'
  return done({ status: 'analyzed', engine, language, ...found, transcriptSha256, warnings })
}

const memberOf = {
  summary: 'summary',
  keywords: 'keywords',
  sentiment: 'sentiment',
  'action-items': 'actionItems',
  'talk-time': 'talkTime',
} as const satisfies Record<AnalysisPart, keyof Found>

const isFound = (found: Found, part: AnalysisPart): boolean => found[memberOf[part]] !== undefined

const insufficient = (transcriptSha256: string | null, warnings: string[]): MeetingAnalysis => ({
  status: 'insufficient-data',
  engine: null,
  language: null,
  transcriptSha256,
  warnings,
})

/** With `auto`, the next engine takes over once this one will not be asked again. */
const fallThrough = (
  failure: LlmFailure | TencentFailure,
  what: string,
  { engine = 'auto' }: AnalyzeMeetingContentData,
  ctx: Ctx,
  warnings: string[],
): Step<null> => {
  // An aborted call looks like an unreachable vendor; the attempt ends with the reason of the abort instead.
  ctx.signal.throwIfAborted()
  const isLast = failure.kind === 'refused' || ctx.attempt >= ctx.maxAttempts
  if (engine !== 'auto' || !isLast) return end(toFailedAttempt(failure))
  warnings.push(`${what}: ${failure.message}`)
  return on(null)
}

/** null: the job names none, or can do without. */
const openRecording = (data: AnalyzeMeetingContentData, ctx: Ctx): Step<Recording | null> => {
  const { recordFileId, tencentUserId, transcript, engine } = data
  if (recordFileId === undefined) return on(null)
  const { tencentMeeting } = ctx.integrations
  const userId = tencentUserId ?? tencentMeeting?.userId
  if (tencentMeeting && userId) return on({ tencentMeeting, recordFileId, userId })
  if (transcript && engine !== 'vendor') return on(null)
  const missing = tencentMeeting ? 'TENCENT_MEETING_USER_ID' : integrationVariables.tencentMeeting
  return end(fail('not_configured', `Set ${missing} on the workers.`))
}

/** What the vendor's AI wrote; null when it was not asked or wrote nothing. */
const askVendor = async (
  data: AnalyzeMeetingContentData,
  parts: readonly AnalysisPart[],
  recording: Recording | null,
  ctx: Ctx,
  warnings: string[],
): Promise<Step<(Found & Pick<MeetingAnalysis, 'language'>) | null>> => {
  const { engine = 'auto', maxSentences = 5 } = data
  const wanted = parts.filter((part) => tencentAiParts.includes(part))
  if (!recording || wanted.length === 0 || (engine !== 'auto' && engine !== 'vendor')) return on(null)
  const notes = await readTencentAi(recording.tencentMeeting, recording, wanted, ctx.signal)
  if (notes.kind !== 'done') return fallThrough(notes, 'Tencent Meeting AI was not used', data, ctx, warnings)
  const { summary, todos } = notes.value
  if (summary === null && todos === null) {
    warnings.push('Tencent Meeting AI has no notes for this recording.')
    return on(null)
  }
  const written = await extract(data, { text: summary ?? (todos ?? []).join('\n') }, [], ctx, true)
  if (written.kind === 'end') return written
  const sentences = written.value.sentences ?? []
  return on({
    language: written.value.language,
    ...(summary === null ? {} : { summary: sentences.slice(0, maxSentences).map(({ text, index }) => ({ text, index })) }),
    ...(todos === null ? {} : { actionItems: todos.map((text, index) => ({ text, index, rule: 'tencent-ai', heuristic: true as const })) }),
  })
}

/** The transcript of the job, else that of the recording; null when there is none. `isOptional`: a failure is only a warning. */
const findTranscript = async (
  data: AnalyzeMeetingContentData,
  recording: Recording | null,
  isOptional: boolean,
  ctx: Ctx,
  warnings: string[],
): Promise<Step<Transcript | null>> => {
  if (data.transcript || !recording) return on(data.transcript ?? null)
  const read = await recording.tencentMeeting.transcript(recording.recordFileId, recording.userId, ctx.signal)
  if (read.kind !== 'done') {
    if (isOptional) return fallThrough(read, 'The transcript cannot be read', { ...data, engine: 'auto' }, ctx, warnings)
    ctx.signal.throwIfAborted()
    return end(toFailedAttempt(read))
  }
  const told = toTencentTranscript(read.value)
  if (told?.isCut) warnings.push('The transcript was too long and was only read in part.')
  return on(told?.transcript ?? null)
}

/** What the language model found; null when it was not asked. */
const askLlm = async (
  data: AnalyzeMeetingContentData,
  parts: readonly AnalysisPart[],
  transcript: Transcript,
  ctx: Ctx,
  warnings: string[],
): Promise<Step<Found | null>> => {
  const { engine = 'auto', maxSentences = 5, maxKeywords = 10 } = data
  const wanted = llmParts.filter((part: LlmPart) => parts.includes(part))
  const { llm } = ctx.integrations
  if (wanted.length === 0 || (engine !== 'auto' && engine !== 'llm')) return on(null)
  if (!llm) return engine === 'llm' ? end(fail('not_configured', `Set ${integrationVariables.llm} on the workers.`)) : on(null)
  const numbered = await extract(data, transcript, [], ctx, true)
  if (numbered.kind === 'end') return numbered
  const { contentWords, language, sentences = [] } = numbered.value
  if (contentWords === 0) return on(null)
  const answer = await llm.analyze({ sentences, parts: wanted, language, maxSentences, maxKeywords }, ctx.signal)
  if (answer.kind !== 'done') return fallThrough(answer, 'The language model was not used', data, ctx, warnings)
  const { summary, keywords, sentiment, actionItems } = answer.value
  return on({
    ...(summary ? { summary: summary.map(({ index, text }) => ({ ...sentences[index], index, text })) } : {}),
    ...(keywords ? { keywords } : {}),
    ...(sentiment ? { sentiment: { ...sentiment, hits: null, confidence: 'low' as const } } : {}),
    ...(actionItems ? { actionItems: actionItems.map(({ index, text }) => ({ text, index, rule: 'llm', heuristic: true as const })) } : {}),
  })
}

const extract = async (
  { language = 'auto', maxSentences = 5, maxKeywords = 10 }: AnalyzeMeetingContentData,
  transcript: Transcript,
  parts: readonly AnalysisPart[],
  ctx: Ctx,
  withSentences = false,
): Promise<Step<Extraction>> => {
  const request = { transcript, parts, language, maxSentences, maxKeywords, withSentences }
  const outcome = await ctx.integrations.analyzer.analyze(request, ctx.signal)
  if (outcome.kind === 'answered') return on(outcome.answer)
  return end(retry('analysis.crashed', analysisErrors['analysis.crashed'].meaning))
}

/** Only what there is something to say about. */
const toFound = ({ contentWords, summary, keywords, sentiment, actionItems, talkTime }: Extraction): Found => ({
  ...(contentWords > 0 && summary ? { summary: summary.map((sentence) => ({ ...sentence })) } : {}),
  ...(contentWords > 0 && keywords ? { keywords: [...keywords] } : {}),
  ...(sentiment && sentiment.hits > 0 ? { sentiment } : {}),
  ...(contentWords > 0 && actionItems ? { actionItems: [...actionItems] } : {}),
  ...(talkTime ? { talkTime: { ...talkTime, speakers: [...talkTime.speakers] } } : {}),
})
