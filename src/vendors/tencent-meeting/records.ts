// What Tencent Meeting tells about a meeting that took place, in the shapes of our own schemas.

import type { Participant, Transcript, TranscriptSegment } from '../../analysis/meeting.js'
import { toObject, toText } from '../json.js'
import type { TencentOutcome } from './job-errors.js'
import type { TencentMeeting } from './tencent-meeting.js'
import type { TencentAnswer } from './wire.js'

const pageSize = 100
/** As many participants as a job may carry; the rest is left out and said so. */
const participantsMax = 1000
const segmentsMax = 5000

export interface Participants {
  readonly participants: readonly Participant[]
  /** There were more than are told here. */
  readonly isCut: boolean
}

/** Everyone who took part, one entry for every stay; at most 1000. */
export const readParticipants = async (
  { participants }: TencentMeeting,
  { tencentMeetingId, userId }: { tencentMeetingId: string; userId: string },
  signal: AbortSignal,
): Promise<TencentOutcome<Participants>> => {
  const found: Participant[] = []
  for (let pos = 0; ; ) {
    const page = await participants(tencentMeetingId, { userId, pos, size: pageSize }, signal)
    if (page.kind !== 'done') return page
    found.push(...toParticipants(page.value))
    const isCut = found.length > participantsMax
    const next = Number(page.value['next_pos'])
    // A position that does not move would ask for the same page for ever.
    if (isCut || page.value['has_remaining'] !== true || !(next > pos)) {
      return { kind: 'done', value: { participants: found.slice(0, participantsMax), isCut } }
    }
    pos = next
  }
}

const toParticipants = (answer: TencentAnswer): Participant[] =>
  toList(answer['participants']).flatMap((entry) => {
    const id = toText(entry['userid']) ?? toText(entry['ms_open_id'])
    const name = fromBase64(toText(entry['user_name'])) ?? id
    if (name === undefined) return []
    const joinedAt = toTime(entry['join_time'])
    const leftAt = toTime(entry['left_time'])
    return [
      {
        ...(id ? { id } : {}),
        name: name.slice(0, 100),
        ...(joinedAt ? { attendance: [{ joinedAt, ...(leftAt ? { leftAt } : {}) }] } : {}),
      },
    ]
  })

/** Its sentences as segments. null: there is none, or it has no words. At most 5000, and whether there were more. */
export const toTencentTranscript = (answer: TencentAnswer): { readonly transcript: Transcript; readonly isCut: boolean } | null => {
  const segments = toList(toObject(answer['minutes'])['paragraphs']).flatMap(toSegments)
  if (segments.length === 0) return null
  return { transcript: { segments: segments.slice(0, segmentsMax) }, isCut: segments.length > segmentsMax || answer['more'] === true }
}

const toSegments = (paragraph: TencentAnswer): TranscriptSegment[] => {
  const speaker = toObject(paragraph['speaker_info'])
  const speakerName = toText(speaker['username'])
  const speakerId = toText(speaker['userid']) ?? toText(speaker['ms_open_id']) ?? speakerName ?? 'unknown'
  return toList(paragraph['sentences']).flatMap((sentence) => {
    const text = joinWords(toList(sentence['words']).map((word) => toText(word['text']) ?? '')).trim()
    const startMs = toMs(sentence['start_time'])
    const endMs = Math.max(startMs, toMs(sentence['end_time']))
    return text === '' ? [] : [{ speakerId, ...(speakerName ? { speakerName } : {}), startMs, endMs, text }]
  })
}

/** Chinese words stand side by side; two Latin ones need the space they came without. */
const joinWords = (words: readonly string[]): string =>
  words.reduce(
    (text, word) => (/[\p{Script=Latin}\p{N}]$/u.test(text) && /^[\p{Script=Latin}\p{N}]/u.test(word) ? `${text} ${word}` : text + word),
    '',
  )

/** The vendor's own summary; null when it wrote none. */
export const toTencentSummary = (answer: TencentAnswer): string | null => fromBase64(toText(answer['ai_summary'])) ?? null

/** The vendor's own list of things to do, one entry each, without headings and bullets. */
export const toTencentTodos = (answer: TencentAnswer): string[] =>
  (toText(toObject(answer['meeting_minute'])['todo']) ?? '')
    // Seen in the vendor's documentation: line breaks that were escaped once too often.
    .split(/\\n|\n/)
    .filter((line) => !line.trimStart().startsWith('#'))
    .map((line) => line.replace(/^[\s*•-]+|^\s*\d{1,3}[.、)]\s*/g, '').trim())
    .filter((line) => line !== '')

const toList = (value: unknown): TencentAnswer[] => (Array.isArray(value) ? value.map(toObject) : [])

const toMs = (value: unknown): number => Math.max(0, Math.round(Number(value) || 0))

/** Unix seconds, as text or number. */
const toTime = (value: unknown): string | undefined => {
  const seconds = Number(value)
  return seconds > 0 && seconds < 1e11 ? new Date(seconds * 1000).toISOString() : undefined
}

/** Base64 where the text is some, else the text itself: the vendor encodes names in some places and not in others. */
const fromBase64 = (text: string | undefined): string | undefined => {
  if (text === undefined || text.length % 4 !== 0) return text
  const bytes = Buffer.from(text, 'base64')
  const decoded = bytes.toString('utf8')
  return bytes.toString('base64') === text && Buffer.from(decoded, 'utf8').equals(bytes) ? decoded : text
}
