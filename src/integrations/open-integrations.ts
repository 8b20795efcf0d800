// Opens the outside systems that the configuration names; handlers find them in `ctx.integrations`.

import type { Smtp } from './smtp.js'

/** What is configured in this process. A member is absent when its settings are. */
export interface Integrations {
  readonly smtp?: Smtp
}

export type IntegrationName = keyof Integrations

/** The variable an operator has to set for each integration: named by the error `not_configured`. */
export const integrationVariables: Readonly<Record<IntegrationName, string>> = {
  smtp: 'SMTP_URL',
}
