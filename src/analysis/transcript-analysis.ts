// Analyses transcripts without any outside service, off the event loop; handlers find it as `ctx.integrations.analyzer`.

import type { AnalysisRequest, Extraction } from './extract.js'
import type { AnalysisSettings } from './settings.js'
import { createThreads, type ThreadOutcome } from './threads.js'

export type TranscriptAnalysis = ReturnType<typeof openTranscriptAnalysis>

/** Starts no thread yet: the first transcript does. */
export const openTranscriptAnalysis = ({ threads, maxSentences }: AnalysisSettings) => {
  const compiled = new URL('./worker.js', import.meta.url)
  const module = import.meta.url.endsWith('.ts') ? new URL(compiled.href.replace(/js$/, 'ts')) : compiled
  const pool = createThreads<AnalysisRequest, Extraction>({ module, threads, workerData: { sentencesMax: maxSentences } })
  return {
    /**
     * Sentences, keywords, summary, sentiment, action items and talk time, as asked for; same transcript, same bytes.
     * Crashed: the thread died. Rejects with the signal's reason, once the thread has ended.
     */
    analyze: (request: AnalysisRequest, signal: AbortSignal): Promise<ThreadOutcome<Extraction>> => pool.run(request, signal),
    /** Threads that are open now. */
    threads: pool.size,
    close: pool.close,
  }
}
