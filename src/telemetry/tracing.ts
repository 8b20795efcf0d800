// Opens tracing when the configuration asks for it. Without that nothing is loaded and nothing is kept.

import type { Logger } from 'pino'
import type { Config } from '../config/config.js'
import type { Tracing } from './spans.js'

/** Undefined when tracing is off. `instanceId` tells processes apart. */
export const openTracing = async ({
  settings,
  instanceId,
  log,
}: {
  settings: Config['tracing']
  instanceId: string
  log: Logger
}): Promise<Tracing | undefined> => {
  if (!settings) return undefined
  const { openOpenTelemetry } = await import('./open-telemetry.js')
  return openOpenTelemetry({ settings, instanceId, log })
}
