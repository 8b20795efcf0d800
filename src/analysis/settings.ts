// What an operator sets for the analysis of transcripts.

import { defineSettings } from '../config/config.js'
import { count } from '../config/variables.js'

const variables = {
  ANALYSIS_MAX_SENTENCES: count(
    2000,
    100,
    5000,
    'Transcripts with more sentences are summarized in parts and are not sent to the language model.',
  ),
  ANALYSIS_THREADS: count(1, 1, 64, 'Concurrent transcript analyses per worker, each in its own thread.'),
}

/** Fits `openTranscriptAnalysis`. */
export const analysisSettings = defineSettings(variables, (env) => ({
  threads: env.ANALYSIS_THREADS,
  maxSentences: env.ANALYSIS_MAX_SENTENCES,
}))
export type AnalysisSettings = ReturnType<typeof analysisSettings.toSettings>
