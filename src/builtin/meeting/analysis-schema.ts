// What an analysis of a meeting is asked for, and what it comes to, whichever engine made it.

import { type Static, Type } from '@sinclair/typebox'
import { Transcript } from '../../analysis/meeting.js'
import { closed, Line, MeetingId, Nullable, StringEnum } from '../../types/schema-parts.js'
import { VendorId } from '../../vendors/schema.js'

export const AnalyzeMeetingContentData = Type.Object(
  {
    meetingId: MeetingId,
    analysisType: Type.Optional(
      StringEnum(['full', 'summary', 'keywords', 'sentiment', 'action-items', 'talk-time'], {
        description: 'What to find out; left out: full.',
      }),
    ),
    transcript: Type.Optional(Transcript),
    recordFileId: Type.Optional(
      Type.String({ ...VendorId, description: 'Recording at Tencent Meeting, whose transcript and AI notes are read when needed.' }),
    ),
    tencentUserId: Type.Optional(Line(64, { description: 'Who reads them there; left out: the configured user.' })),
    engine: Type.Optional(
      StringEnum(['auto', 'vendor', 'llm', 'extractive'], {
        description: 'Left out: auto, the first of vendor, llm and extractive that is configured and answers.',
      }),
    ),
    language: Type.Optional(
      StringEnum(['auto', 'zh', 'en'], { description: 'Whose rules apply; left out: auto, every word by its script.' }),
    ),
    maxSentences: Type.Optional(Type.Integer({ minimum: 1, maximum: 20, description: 'Sentences in the summary; left out: 5.' })),
    maxKeywords: Type.Optional(Type.Integer({ minimum: 1, maximum: 50, description: 'Keywords; left out: 10.' })),
  },
  closed,
)
export type AnalyzeMeetingContentData = Static<typeof AnalyzeMeetingContentData>

const index = Type.Integer({
  minimum: 0,
  description: 'Number of the sentence in the transcript, from 0. With tencent-ai: number in what it wrote.',
})
const ms = (description: string) => Type.Integer({ minimum: 0, description })

const SummarySentence = Type.Object(
  {
    text: Type.String({ description: 'The sentence; with llm a rewording of it.' }),
    index,
    startMs: Type.Optional(ms('Start of the segment the sentence stands in.')),
    endMs: Type.Optional(ms('End of that segment.')),
    speakerId: Type.Optional(Type.String({ description: 'Who said it.' })),
  },
  { ...closed, description: 'One sentence of the summary and where it comes from.' },
)

const Keyword = Type.Object(
  { term: Type.String(), score: Type.Number({ description: 'Comparable within one result only.' }) },
  { ...closed, description: 'A word that stands out.' },
)

const Sentiment = Type.Object(
  {
    label: StringEnum(['positive', 'neutral', 'negative']),
    score: Type.Number({ minimum: -1, maximum: 1, description: 'From -1, all negative, to 1, all positive.' }),
    hits: Nullable(Type.Integer({ minimum: 0 }), { description: 'Words the score rests on; null where the engine counts none.' }),
    confidence: StringEnum(['low'], { description: 'Always low: words of a trade mislead it.' }),
  },
  { ...closed, description: 'The mood of the conversation, roughly.' },
)

const TalkTime = Type.Object(
  {
    speakers: Type.Array(
      Type.Object(
        {
          speakerId: Type.String(),
          ms: ms('How long this person spoke; overlapping segments count once.'),
          share: Type.Number({ minimum: 0, maximum: 1, description: "Of all speakers' times together." }),
        },
        closed,
      ),
      { description: 'Longest first.' },
    ),
    speechMs: ms('How long anyone spoke.'),
    overlapMs: ms('How much was spoken while someone else spoke.'),
  },
  { ...closed, description: 'Who spoke for how long.' },
)

const ActionItem = Type.Object(
  {
    text: Type.String(),
    index,
    rule: Type.String({ description: 'What found it: a pattern, llm or tencent-ai.' }),
    heuristic: Type.Literal(true, { description: 'A guess: read the sentence.' }),
  },
  { ...closed, description: 'Something that sounds like work to be done.' },
)

export const MeetingAnalysis = Type.Object(
  {
    status: StringEnum(['analyzed', 'insufficient-data'], {
      description: 'insufficient-data: there is no transcript, or nothing in it to answer with; nothing is made up.',
    }),
    engine: Nullable(StringEnum(['tencent-ai', 'llm', 'extractive-v1']), {
      description: 'Who made the summary and what else it makes; the rest is always extractive-v1. null with insufficient-data.',
    }),
    language: Nullable(StringEnum(['zh', 'en']), {
      description: 'As asked for; with auto the one with more words. null with insufficient-data.',
    }),
    summary: Type.Optional(Type.Array(SummarySentence, { description: 'In the order of the transcript.' })),
    keywords: Type.Optional(Type.Array(Keyword, { description: 'Best first.' })),
    sentiment: Type.Optional(Sentiment),
    talkTime: Type.Optional(TalkTime),
    actionItems: Type.Optional(Type.Array(ActionItem, { description: 'In the order of the transcript.' })),
    transcriptSha256: Nullable(Type.String(), {
      description:
        'SHA-256 in hex of the text, or of the segments as JSON [[speakerId, speakerName or null, startMs, endMs, text], …]; null without transcript.',
    }),
    warnings: Type.Array(Type.String(), { description: 'What limits the result.' }),
  },
  { ...closed, description: 'Members that were not asked for are left out.' },
)
export type MeetingAnalysis = Static<typeof MeetingAnalysis>
