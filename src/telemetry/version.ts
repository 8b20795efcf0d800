// The version of Jobgate that runs.

import { readFileSync } from 'node:fs'

/** As package.json says. */
export const readVersion = (): string => {
  // Two levels up both from src/telemetry and from dist/telemetry.
  const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as { version: string }
  return version
}
