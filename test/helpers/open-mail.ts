// Opens the SMTP integration as a worker does, with settings given as environment variables.

import { tmpdir } from 'node:os'
import { loadBuiltinConfig } from '../../src/builtin/config.js'
import { openIntegrations } from '../../src/builtin/integrations.js'

export interface LogLine {
  level: 'warn' | 'error'
  text: string
}

/** Reads no `.env`: the temporary folder has none. */
export const mailConfig = (env: Record<string, string> = {}) => loadBuiltinConfig({ ...env }, tmpdir())

/** `lines` is everything that was logged. */
export const openMail = async (url: string, env: Record<string, string> = {}) => {
  const lines: LogLine[] = []
  const note =
    (level: LogLine['level']) =>
    (...parts: unknown[]) => {
      lines.push({ level, text: JSON.stringify(parts) })
    }
  const config = mailConfig({
    SMTP_URL: url,
    MAIL_FROM: 'Jobgate <gate@mail.example.com>',
    ...env,
  })
  const integrations = await openIntegrations({ config, log: { warn: note('warn'), error: note('error') } as never })
  const { smtp } = integrations
  if (!smtp) throw new Error('SMTP_URL was given')
  return { config, smtp, integrations, lines, close: () => integrations.close() }
}
