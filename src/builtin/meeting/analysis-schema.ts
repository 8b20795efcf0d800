// What an analysis of a meeting is asked for, and what it comes to, whichever engine made it.

import { type Static, Type } from '@sinclair/typebox'
import { Transcript } from '../../analysis/meeting.js'
import { closed, Line, Nullable, StringEnum } from '../../types/schema-parts.js'
import { VendorId } from '../../vendors/schema.js'
import { MeetingId } from './meeting-id.js'

export const AnalyzeMeetingContentData = Type.Object(
  {
    meetingId: MeetingId,
    analysisType: Type.Optional(
      StringEnum(['full', 'summary', 'keywords', 'sentiment', 'action-items', 'talk-time'], {
        description: 'What to analyze. Defaults to full.',
      }),
    ),
    transcript: Type.Optional(Transcript),
    recordFileId: Type.Optional(
      Type.String({ ...VendorId, description: 'Tencent Meeting recording whose transcript and AI notes are read when needed.' }),
    ),
    tencentUserId: Type.Optional(Line(64, { description: 'User who reads them. Defaults to the configured user.' })),
    engine: Type.Optional(
      StringEnum(['auto', 'vendor', 'llm', 'extractive'], {
        description: 'Defaults to auto: the first of vendor, llm and extractive that is configured and responds.',
      }),
    ),
    language: Type.Optional(
      StringEnum(['auto', 'zh', 'en'], {
        description: 'Language whose rules apply. Defaults to auto, which decides for each word by its script.',
      }),
    ),
    maxSentences: Type.Optional(
      Type.Integer({ minimum: 1, maximum: 20, description: 'Number of sentences in the summary. Defaults to 5.' }),
    ),
    maxKeywords: Type.Optional(Type.Integer({ minimum: 1, maximum: 50, description: 'Number of keywords. Defaults to 10.' })),
  },
  closed,
)
export type AnalyzeMeetingContentData = Static<typeof AnalyzeMeetingContentData>

const index = Type.Integer({
  minimum: 0,
  description: 'Index of the sentence in the transcript, from 0. With tencent-ai: index in its own notes.',
})
const ms = (description: string) => Type.Integer({ minimum: 0, description })

const SummarySentence = Type.Object(
  {
    text: Type.String({ description: 'The sentence, reworded if engine is llm.' }),
    index,
    startMs: Type.Optional(ms('Start of the segment that contains the sentence.')),
    endMs: Type.Optional(ms('End of that segment.')),
    speakerId: Type.Optional(Type.String({ description: 'Speaker of the sentence.' })),
  },
  { ...closed, description: 'One sentence of the summary and its source.' },
)

const Keyword = Type.Object(
  { term: Type.String(), score: Type.Number({ description: 'Comparable within one result only.' }) },
  { ...closed, description: 'A salient word.' },
)

const Sentiment = Type.Object(
  {
    label: StringEnum(['positive', 'neutral', 'negative']),
    score: Type.Number({ minimum: -1, maximum: 1, description: 'From -1, all negative, to 1, all positive.' }),
    hits: Nullable(Type.Integer({ minimum: 0 }), {
      description: 'Number of words the score is based on; null if the engine does not count them.',
    }),
    confidence: StringEnum(['low'], { description: 'Always low, because technical terms mislead it.' }),
  },
  { ...closed, description: "A rough estimate of the conversation's sentiment." },
)

const TalkTime = Type.Object(
  {
    speakers: Type.Array(
      Type.Object(
        {
          speakerId: Type.String(),
          ms: ms('How long this speaker talked; overlapping segments count once.'),
          share: Type.Number({ minimum: 0, maximum: 1, description: "Share of all speakers' combined time." }),
        },
        closed,
      ),
      { description: 'Longest first.' },
    ),
    speechMs: ms('How long at least one speaker talked.'),
    overlapMs: ms('How long two or more speakers talked at once.'),
  },
  { ...closed, description: 'How long each speaker talked.' },
)

const ActionItem = Type.Object(
  {
    text: Type.String(),
    index,
    rule: Type.String({ description: 'How it was found: a pattern, llm or tencent-ai.' }),
    heuristic: Type.Literal(true, { description: 'A guess; check the sentence.' }),
  },
  { ...closed, description: 'A sentence that sounds like an action item.' },
)

export const MeetingAnalysis = Type.Object(
  {
    status: StringEnum(['analyzed', 'insufficient-data'], {
      description: 'insufficient-data: there is no transcript, or it does not contain enough to analyze. Nothing is made up.',
    }),
    engine: Nullable(StringEnum(['tencent-ai', 'llm', 'extractive-v1']), {
      description:
        'Engine that produced the summary and whatever else it can; extractive-v1 produces the rest. null with insufficient-data.',
    }),
    language: Nullable(StringEnum(['zh', 'en']), {
      description: 'As requested; with auto, the language with more words. null with insufficient-data.',
    }),
    summary: Type.Optional(Type.Array(SummarySentence, { description: 'In the order of the transcript.' })),
    keywords: Type.Optional(Type.Array(Keyword, { description: 'Best first.' })),
    sentiment: Type.Optional(Sentiment),
    talkTime: Type.Optional(TalkTime),
    actionItems: Type.Optional(Type.Array(ActionItem, { description: 'In the order of the transcript.' })),
    transcriptSha256: Nullable(Type.String(), {
      description:
        'SHA-256 in hex of the text, or of the segments as JSON [[speakerId, speakerName or null, startMs, endMs, text], …]; null without a transcript.',
    }),
    warnings: Type.Array(Type.String(), { description: 'Limitations of the result.' }),
  },
  { ...closed, description: 'Members that were not requested are omitted.' },
)
export type MeetingAnalysis = Static<typeof MeetingAnalysis>
