// Everything of `jobgate serve` below HTTP, opened in order and closed in reverse.

import { createFollowUps } from './attempts/follow-ups.js'
import { openAuth } from './auth/open-auth.js'
import { createCatalog } from './catalog/catalog.js'
import { openModuleRegistration } from './catalog/modules.js'
import { openJobs } from './jobs/open-jobs.js'
import { openSubmissions } from './jobs/open-submissions.js'
import { openLeases } from './leases/open-leases.js'
import { requireMailTemplates } from './mail/templates/templates.js'
import { openOperating } from './operations/open-operations.js'
import { createLock } from './redis/lock.js'
import { openDuties } from './runtime/duty.js'
import { closeOnFailure, createScope, type Scope } from './runtime/scope.js'
import { openSchedules } from './schedules/open-schedules.js'
import { type Base, openBase, openTools, openWorking, type StartOptions, type Tools } from './worker.js'

/**
 * Services of a gateway, with workers when WORKERS_ENABLED says so.
 * Throws with one readable line when the embedded Redis or an integration cannot start, with nothing left open;
 * an unreachable Redis is no error, everything heals once it is there.
 */
export const openServices = async (options: StartOptions) => {
  const { config, jobTypes, log, scope = createScope() } = options
  return closeOnFailure(scope, async () => {
    // Submissions are checked against the operator's templates: a broken one stops the start, not the first e-mail.
    const emailTemplates = requireMailTemplates(config.settings.mail.email)
    const base = await openBase(options, { share: false }, scope)
    const { redis, keys, metrics, queues, tracing } = base
    const request = redis.request
    const submissions = await openSubmissions(base, { role: 'request', connection: request }, scope)
    const catalog = createCatalog({ ...base, redis: request, submissions })
    await openModuleRegistration({ ...base, catalog }, scope)
    const tools = config.workersEnabled ? await openTools(base, scope) : undefined
    const schedules = await openSchedules(base, { connection: request, submissions }, scope)
    const auth = await openAuth(base, scope)
    const jobs = await openJobs(base, scope)
    const leases = await openLeases({ ...base, submitFollowUps: createFollowUps({ ...base, accept: submissions.accept }) }, scope)
    const operating = await openOperating({ ...base, control: jobs.control, redis: request, remoteWorkers: leases.workers.present }, scope)
    const lock = createLock({ redis: request, keys })
    await openDuties([...jobs.duties, ...leases.duties, ...operating.duties, ...catalog.duties], { log, lock }, scope)
    // Opened last, so that they are drained before anything that they need is closed.
    // Its modules are registered already.
    const working = tools && startWorking({ ...base, modules: [] }, tools, scope)

    return {
      config,
      jobTypes,
      jobErrors: base.jobErrors,
      log,
      redis,
      keys,
      metrics,
      tracing,
      emailTemplates,
      queues,
      accept: submissions.accept,
      catalog,
      /** Why no submission can be as safe as DURABILITY says; null when it can be. */
      durabilityFault: () => submissions.durability?.fault() ?? null,
      schedules,
      leases,
      ...auth,
      ...jobs,
      ...operating,
      /** Settles once Redis answers and the workers of this process, if any, run. The gateway serves before that. */
      async ready(): Promise<void> {
        // Not `events.once`: an error on the way there is no reason to give up.
        if (request.status !== 'ready') await new Promise<void>((resolve) => request.once('ready', () => resolve()))
        await (await working?.opened)?.ready
      },
      /** The workers of this process, if any, take no more jobs; running ones have SHUTDOWN_GRACE_MS. All else stays open. */
      closeWorkers: async (): Promise<void> => working?.close(),
      close: scope.close,
    }
  })
}

export type Services = Awaited<ReturnType<typeof openServices>>

/** Workers wait for Redis as long as it takes; the gateway answers meanwhile. */
const startWorking = (base: Base, tools: Tools, parent: Scope) => {
  const scope = parent.child('workers')
  const opened = closeOnFailure(scope, () =>
    openWorking(base, tools, scope).catch((error: Error) => {
      // A stop that came first is no failure.
      if (!scope.isClosing()) base.log.error({ err: error }, 'workers did not start')
      throw error
    }),
  )
  opened.catch(() => {})
  return { opened, close: scope.close }
}
