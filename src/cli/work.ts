// A process that only works jobs: no HTTP.

import closeWithGrace from 'close-with-grace'
import { builtinTypes } from '../builtin/builtin.js'
import { loadBuiltinConfig } from '../builtin/config.js'
import { createScope } from '../runtime/scope.js'
import { tuneHeap } from '../runtime/tune-heap.js'
import { createLogger } from '../telemetry/logger.js'
import { loadTypeModules } from '../types/modules/load.js'
import { createJobTypes, type JobTypes } from '../types/registry.js'
import { openWorkers } from '../worker.js'

/** Beyond the grace of running jobs, a stop may take this long before it is forced. */
const stopMarginMs = 15_000

/** Runs until a signal comes; resolves once the workers run. Exit code 0 after a clean stop. */
export const work = async (jobTypes: JobTypes = createJobTypes(builtinTypes), config = loadBuiltinConfig()): Promise<void> => {
  tuneHeap()
  const log = createLogger({ level: config.logLevel })
  const modules = await loadTypeModules(config.jobTypesDir, jobTypes)
  if (modules.length > 0) log.info({ types: modules.map(({ name }) => name) }, 'job types of modules loaded')
  const scope = createScope({ watch: (step, name) => log.debug({ step, name }, 'start or stop') })
  const workers = await openWorkers({ config, jobTypes, log, modules, scope })
  workers.metrics.watchProcess()
  if (workers.metricsUrl) log.info({ url: workers.metricsUrl }, 'serving metrics')
  closeWithGrace({ delay: config.http.shutdownGraceMs + stopMarginMs, logger: false }, async ({ signal, err }) => {
    if (err) log.fatal({ err }, 'stopping after an unexpected error')
    else log.info({ signal }, 'stopping')
    await workers.close()
    log.info('stopped')
  })
  await workers.ready
}
