// What can go wrong with a call to the language model: its job errors.

import type { JobErrorTable } from '../../types/job-errors.js'
import { createToFailure, type VendorErrorClass, type VendorFailure, type VendorOutcome } from '../outcome.js'

export const llmErrors = {
  'llm.rate_limited': { retryable: true, meaning: 'The language model asked to slow down.' },
  'llm.unavailable': {
    retryable: true,
    meaning: 'The language model could not be reached, failed, or took longer than ANALYSIS_LLM_TIMEOUT_MS.',
  },
  'llm.authentication_failed': { retryable: false, meaning: 'The language model refused ANALYSIS_LLM_API_KEY.' },
  'llm.refused': {
    retryable: false,
    meaning: 'The language model permanently refused the request; ANALYSIS_LLM_BASE_URL or ANALYSIS_LLM_MODEL may be wrong.',
  },
  'llm.answer_invalid': {
    retryable: false,
    meaning: 'The language model twice returned something that does not match its instructions or the transcript.',
  },
  'llm.transcript_too_long': {
    retryable: false,
    meaning: 'The transcript has more sentences than ANALYSIS_MAX_SENTENCES, too many for the language model.',
  },
} as const satisfies JobErrorTable

export type LlmErrorCode = keyof typeof llmErrors
export type LlmErrorClass = VendorErrorClass<LlmErrorCode>
export type LlmFailure = VendorFailure<LlmErrorCode>
export type LlmOutcome<T> = VendorOutcome<T, LlmErrorCode>

export const toFailure = createToFailure(llmErrors)
