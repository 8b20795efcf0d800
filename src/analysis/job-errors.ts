// What can go wrong with the analysis of a transcript: its job errors.

import type { JobErrorTable } from '../types/job-errors.js'

export const analysisErrors = {
  'analysis.crashed': {
    retryable: true,
    meaning: 'The thread that analyzed the transcript died, most likely because it ran out of memory.',
  },
} as const satisfies JobErrorTable

export type AnalysisErrorCode = keyof typeof analysisErrors
