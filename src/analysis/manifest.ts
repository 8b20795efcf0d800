// What the analysis of transcripts brings to Jobgate: its settings, its job errors and its threads.

import type { Opening } from '../types/integration.js'
import { analysisErrors } from './job-errors.js'
import { type AnalysisSettings, analysisSettings } from './settings.js'

export const analysis = {
  settings: analysisSettings,
  errors: analysisErrors,
  integration: {
    name: 'analyzer',
    variable: 'ANALYSIS_THREADS',
    open: async ({ config }: Opening<{ analysis: AnalysisSettings }>) =>
      (await import('./transcript-analysis.js')).openTranscriptAnalysis(config.settings.analysis),
  },
} as const
