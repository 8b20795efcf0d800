// What Tencent Meeting's own AI wrote about a recording: the first choice of the analysis of a meeting.

import type { AnalysisPart } from '../../analysis/extract.js'
import type { TencentOutcome } from './job-errors.js'
import { toTencentSummary, toTencentTodos } from './records.js'
import type { TencentMeeting } from './tencent-meeting.js'

/** Parts it can write. */
export const tencentAiParts: readonly AnalysisPart[] = ['summary', 'action-items']

/** null: not asked for, or it wrote nothing. */
export interface TencentAiNotes {
  readonly summary: string | null
  readonly todos: readonly string[] | null
}

/** Reads those of `parts` that it can write. */
export const readTencentAi = async (
  tencentMeeting: TencentMeeting,
  { recordFileId, userId }: { recordFileId: string; userId: string },
  parts: readonly AnalysisPart[],
  signal: AbortSignal,
): Promise<TencentOutcome<TencentAiNotes>> => {
  const summary = parts.includes('summary') ? await tencentMeeting.fullSummary(recordFileId, userId, signal) : null
  if (summary && summary.kind !== 'done') return summary
  const minutes = parts.includes('action-items') ? await tencentMeeting.minutes(recordFileId, userId, signal) : null
  if (minutes && minutes.kind !== 'done') return minutes
  const todos = minutes ? toTencentTodos(minutes.value) : []
  return { kind: 'done', value: { summary: summary && toTencentSummary(summary.value), todos: todos.length > 0 ? todos : null } }
}
