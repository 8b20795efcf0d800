// The gateway: configuration, services, application, and a stop that loses nothing.

import { setTimeout as pause } from 'node:timers/promises'
import closeWithGrace from 'close-with-grace'
import { buildApp } from '../app.js'
import { builtinTypes } from '../builtin/builtin.js'
import { loadBuiltinConfig } from '../builtin/config.js'
import { openServices } from '../gateway.js'
import { closeOnFailure, createScope } from '../runtime/scope.js'
import { tuneHeap } from '../runtime/tune-heap.js'
import { createLogger } from '../telemetry/logger.js'
import { loadTypeModules } from '../types/modules/load.js'
import { createJobTypes, type JobTypes } from '../types/registry.js'

/** Beyond the drain and the grace of running jobs, a stop may take this long before it is forced. */
const stopMarginMs = 15_000
/** Beyond the grace of running jobs, clients may take this long to send what they have begun and to fetch their answers. */
const requestMarginMs = 5000

/** For a name with two addresses Fastify opens a second server of its own, which has none of the limits of connections. */
const toAddress = (host: string): string => (host === 'localhost' ? '127.0.0.1' : host)

/** Runs until a signal comes; resolves with the address once it listens. Exit code 0 after a clean stop. */
export const serve = async (jobTypes: JobTypes = createJobTypes(builtinTypes), config = loadBuiltinConfig()): Promise<string> => {
  tuneHeap()
  const log = createLogger({ level: config.logLevel })
  const modules = await loadTypeModules(config.jobTypesDir, jobTypes)
  if (modules.length > 0) log.info({ types: modules.map(({ name }) => name) }, 'job types of modules loaded')
  const scope = createScope({ watch: (step, name) => log.debug({ step, name }, 'start or stop') })
  return closeOnFailure(scope, async () => {
    const services = await openServices({ config, jobTypes, log, modules, scope })
    const app = await scope.open('application', () => buildApp(services))
    services.metrics.watchProcess()

    const closeApp = async () => {
      const cutOff = setTimeout(() => {
        log.warn('requests did not finish in time; closing their connections')
        app.server.closeAllConnections()
      }, config.http.shutdownGraceMs + requestMarginMs)
      await app.close()
      clearTimeout(cutOff)
    }
    // Side by side: what a slow client holds up is no reason to take jobs, or to keep them from others.
    scope.defer('requests and workers', () => Promise.all([closeApp(), services.closeWorkers()]))

    closeWithGrace(
      { delay: config.http.shutdownDrainMs + config.http.shutdownGraceMs + stopMarginMs, logger: false },
      async ({ signal, err }) => {
        if (err) log.fatal({ err }, 'stopping after an unexpected error')
        else log.info({ signal, drainMs: config.http.shutdownDrainMs }, 'stopping')
        app.startStopping()
        if (!err) await pause(config.http.shutdownDrainMs)
        await scope.close()
        log.info('stopped')
      },
    )
    services.redis.died.then((error) => {
      log.fatal({ err: error }, 'the embedded Redis ended')
      process.exitCode = 1
      process.kill(process.pid, 'SIGTERM')
    })

    const address = await app.listen({ host: toAddress(config.host), port: config.port })
    const { firstKey } = services
    if (firstKey.minted)
      process.stdout.write(`\nFirst API key (every scope, shown only once, stored in ${firstKey.path}):\n  ${firstKey.key}\n\n`)
    log.info({ address, workers: config.workersEnabled, instance: config.instanceId }, 'listening')
    return address
  })
}
