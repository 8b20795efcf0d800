// Opens the outside systems that the configuration names; handlers find them in `ctx.integrations`.

import type { BaseLogger } from 'pino'
import type { Config } from '../config.js'
import { requireMailTemplates } from './mail-templates.js'
import { openSmtp, type Smtp } from './smtp.js'

/** What is configured in this process. A member is absent when its settings are. */
export interface Integrations {
  readonly smtp?: Smtp
}

export type IntegrationName = keyof Integrations

/** The variable an operator has to set for each integration: named by the error `not_configured`. */
export const integrationVariables: Readonly<Record<IntegrationName, string>> = {
  smtp: 'SMTP_URL',
}

/**
 * Opens what is configured; nothing is called yet.
 * Throws with one readable line when settings contradict each other or a template is broken.
 */
export const openIntegrations = async ({
  config,
  log,
}: {
  config: Pick<Config, 'smtp' | 'email'>
  log: Pick<BaseLogger, 'warn' | 'error'>
}): Promise<Integrations & { close(): Promise<void> }> => {
  // Read even without a mail server: submissions are checked against the templates here.
  const templates = requireMailTemplates(config.email)
  const smtp = config.smtp && openSmtp({ smtp: config.smtp, email: config.email, templates, log })
  return {
    ...(smtp ? { smtp } : {}),
    async close() {
      await smtp?.close()
    },
  }
}
