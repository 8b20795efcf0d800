// What the language model brings to Jobgate: its settings, its job errors and its client.

import type { AnalysisSettings } from '../../analysis/settings.js'
import type { Opening } from '../../types/integration.js'
import { llmErrors } from './job-errors.js'
import { llmSettings } from './settings.js'

export const llm = {
  settings: llmSettings,
  errors: llmErrors,
  integration: {
    name: 'llm',
    variable: 'ANALYSIS_LLM_BASE_URL',
    async open({ config }: Opening<{ analysis: AnalysisSettings; llm: ReturnType<typeof llmSettings.toSettings> }>) {
      const { analysis, llm: settings } = config.settings
      return settings && (await import('./llm.js')).openLlm({ ...settings, maxSentences: analysis.maxSentences })
    },
  },
} as const
