// Analyzes transcripts without any outside service, off the event loop; handlers find it as `ctx.integrations.analyzer`.

import { Piscina } from 'piscina'
import type { AnalysisRequest, Extraction } from './extract.js'
import type { AnalysisSettings } from './settings.js'

/** `crashed`: the thread died, out of memory or by a bug. */
export type AnalysisOutcome =
  | { readonly kind: 'answered'; readonly answer: Extraction }
  | { readonly kind: 'crashed'; readonly cause: Error }

export type TranscriptAnalysis = ReturnType<typeof openTranscriptAnalysis>

/** V8's heap in a thread; jieba's dictionary and the similarity matrix lie outside of it. */
const heapMegabytes = 512

/** Starts no thread yet: the first transcript does. `module` runs in each. */
export const openTranscriptAnalysis = ({ threads, maxSentences }: AnalysisSettings, module: URL = ownModule()) => {
  const pool = new Piscina({
    filename: module.href,
    minThreads: 0,
    maxThreads: threads,
    // A thread that has loaded its dictionary is kept.
    idleTimeout: Number.POSITIVE_INFINITY,
    resourceLimits: { maxOldGenerationSizeMb: heapMegabytes },
    workerData: { sentencesMax: maxSentences },
    // Node 20 does not hand a loader on to threads: one that runs from TypeScript sources registers tsx again.
    ...(module.pathname.endsWith('.ts') ? { execArgv: ['--import', import.meta.resolve('tsx')] } : {}),
  })
  // Only for threads that die idle: the next transcript opens another. Without a listener it would end the process.
  pool.on('error', () => {})
  let closing: Promise<void> | undefined
  return {
    /**
     * Sentences, keywords, summary, sentiment, action items, and talk time, as requested; same transcript, same bytes.
     * Rejects with the signal's reason when it fires; the thread at work is terminated then.
     */
    async analyze(request: AnalysisRequest, signal: AbortSignal): Promise<AnalysisOutcome> {
      if (closing) throw new Error('The analysis threads are closed')
      try {
        return { kind: 'answered', answer: await pool.run(request, { signal }) }
      } catch (error) {
        if (signal.aborted) throw signal.reason
        return { kind: 'crashed', cause: error as Error }
      }
    },
    /** Threads that are open now. */
    threads: (): number => pool.threads.length,
    /** Terminates every thread; whatever is running or waiting ends as crashed. Closing twice is harmless. */
    close(): Promise<void> {
      closing ??= pool.destroy()
      return closing
    },
  }
}

/** Beside this file, compiled or not. */
const ownModule = (): URL => new URL(import.meta.url.endsWith('.ts') ? './thread.ts' : './thread.js', import.meta.url)
