// What an operator sets for the language model.

import { defineSettings } from '../../config/config.js'
import { areTogether, requireUrl } from '../../config/setting-checks.js'
import { count, text } from '../../config/variables.js'

const variables = {
  ANALYSIS_LLM_BASE_URL: text(
    'URL of an OpenAI-compatible language model, including the version. Set both LLM_BASE_URL and LLM_MODEL, or neither.',
  ),
  ANALYSIS_LLM_API_KEY: text('API key of the language model, if required.'),
  ANALYSIS_LLM_MODEL: text('Name of the model.'),
  ANALYSIS_LLM_TIMEOUT_MS: count(60_000, 100, 600_000, 'Timeout of one call to the language model, in milliseconds.'),
  ANALYSIS_LLM_MAX_TOKENS: count(2000, 100, 100_000, 'Maximum tokens in one response from the language model.'),
}

/** Undefined when no model is configured. */
export const llmSettings = defineSettings(variables, (env) => {
  const { ANALYSIS_LLM_BASE_URL, ANALYSIS_LLM_MODEL } = env
  if (!areTogether('The language model of ANALYSIS_', { ANALYSIS_LLM_BASE_URL, ANALYSIS_LLM_MODEL })) return undefined
  return {
    baseUrl: requireUrl('ANALYSIS_LLM_BASE_URL', ANALYSIS_LLM_BASE_URL as string, ['http:', 'https:']),
    apiKey: env.ANALYSIS_LLM_API_KEY,
    model: ANALYSIS_LLM_MODEL as string,
    timeoutMs: env.ANALYSIS_LLM_TIMEOUT_MS,
    maxTokens: env.ANALYSIS_LLM_MAX_TOKENS,
  }
})
