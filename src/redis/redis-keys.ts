// Every key name the gateway owns in Redis, beside BullMQ's own. Keys with the same hash tag stay together in a Cluster.

/** Keys that lie beside the jobs of one partition; `tag` is its hash tag, braces included. */
export const createPartitionKeys = (tag: string) => {
  const own = `${tag}:gate`
  return {
    /** Idempotency record; `digest` of tenant and key, so that no client string enters a key name. */
    idempotency: (digest: string) => `${own}:idem:${digest}`,
    /** Sorted set of the jobs of one tenant in creation order. */
    jobIndex: (tenant: string) => `${own}:index:${tenant}`,
    /** What an attempt has begun or done with a vendor. */
    marker: (jobId: string) => `${own}:marker:${jobId}`,
    /** The leases that were handed out under an idempotency key; `digest` of tenant and key. */
    leaseClaim: (digest: string) => `${own}:lease-claim:${digest}`,
    /** What was said when a lease was settled; `token` is what its job was locked with. */
    settledLease: (token: string) => `${own}:settled-lease:${token}`,
    /** Stream by which a process ends its own blocking read of events. */
    wakeReader: (reader: string) => `${own}:wake-reader:${reader}`,
    /** Sorted set by which a process ends its own blocking watch of idle queues. */
    wakeWatch: (instanceId: string) => `${own}:wake-watch:${instanceId}`,
  }
}

export type PartitionKeys = ReturnType<typeof createPartitionKeys>

/**
 * Keys that are there once, under the tag of partition 0: `prefix` with braces, as in `{jobgate}`.
 * BullMQ's keys are `{prefix}:<queue>:…`; ours are `{prefix}:gate:…`.
 */
export const createKeys = (prefix: string) => {
  const own = `${prefix}:gate`
  return {
    prefix,
    /** Hash of tenant → where a sweep of its index has come to. */
    jobIndexPositions: `${own}:index-positions`,
    /** Names of the tenants that have an index. */
    tenants: `${own}:tenants`,
    /** Hash of API key id → record. */
    apiKeys: `${own}:api-keys`,
    /** Hash of API key id → when it was last used, in milliseconds since 1970, to the minute. */
    apiKeysUsed: `${own}:api-keys-used`,
    /** Published when a key changes. */
    apiKeysChanged: `${own}:api-keys-changed`,
    /** Session of a person at the dashboard; `digest` of its token. */
    boardSession: (digest: string) => `${own}:board-session:${digest}`,
    /** Published with a job id when a running job is to stop. */
    cancelled: `${own}:cancelled`,
    /** Requests counted in one window. */
    rateLimit: (subject: string, window: number) => `${own}:rate:${subject}:${window}`,
    /** Heartbeat of one worker process. */
    worker: (instanceId: string) => `${own}:worker:${instanceId}`,
    /** Ids of worker processes, scored by their latest heartbeat. */
    workers: `${own}:workers`,
    /** Hash of remote worker → what it said of itself last; `digest` of tenant and name. */
    remoteWorkers: `${own}:remote-workers`,
    /** Digests of remote workers, scored by when they were last seen. */
    remoteWorkersSeen: `${own}:remote-workers-seen`,
    /** There while a remote worker is to take no more jobs. */
    drainedWorker: (digest: string) => `${own}:drained-worker:${digest}`,
    /** Sorted set of the leases that a remote worker holds, by when each ends. */
    workerLeases: (digest: string) => `${own}:worker-leases:${digest}`,
    /** Secret that signs cursors, shared by all instances. */
    cursorSecret: `${own}:cursor-secret`,
    /** Lock of a vendor's thing that one worker at a time may write; `digest` of its name. */
    lock: (digest: string) => `${own}:lock:${digest}`,
    /** Hash of one schedule; `key` is a digest of tenant and id. */
    schedule: (key: string) => `${own}:schedule:${key}`,
    /** Sorted set of the jobs of a schedule's latest runs, by when they were due. */
    scheduleTicks: (key: string) => `${own}:schedule-ticks:${key}`,
    /** Sorted set of the ids of one tenant's schedules. */
    scheduleIds: (tenant: string) => `${own}:schedule-ids:${tenant}`,
    /** Keys of all schedules. */
    schedules: `${own}:schedules`,
    /** Stream of what operators did. */
    audit: `${own}:audit`,
    /** Hash of `<queue>:<kind>` → id of the operation that is open. */
    operationsOpen: `${own}:operations-open`,
    /** Sorted set of the ids of the latest operations, by when they were asked for. */
    operations: `${own}:operations`,
    /** Hash of one operation. */
    operation: (id: string) => `${own}:operation:${id}`,
    /** Held by the instance that runs an operation. */
    operationLease: (id: string) => `${own}:operation-lease:${id}`,
    /** Hash of job type → what counts of it. */
    jobTypes: `${own}:job-types`,
    /** Hash of version → definition, of one job type. */
    jobType: (name: string) => `${own}:job-type:${name}`,
    /** Another text after every change of a job type. */
    jobTypesRevision: `${own}:job-types-revision`,
    /** Names of job types that were removed, and whose queues still have keys. */
    jobTypesRemoved: `${own}:job-types-removed`,
    /** For subjects that are not known here; `kind` is a name that nothing above has. */
    of: (kind: string, id: string) => `${own}:${kind}:${id}`,
  }
}

export type Keys = ReturnType<typeof createKeys>
