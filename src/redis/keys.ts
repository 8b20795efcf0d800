// Every key name the gateway owns in Redis, beside BullMQ's own. All share one hash tag, so a Cluster keeps them together.

/** `prefix` with braces, as in `{jobgate}`. BullMQ's keys are `{prefix}:<queue>:…`; ours are `{prefix}:gate:…`. */
export const createKeys = (prefix: string) => {
  const own = `${prefix}:gate`
  return {
    prefix,
    /** Idempotency record; `digest` of tenant and key, so that no client string enters a key name. */
    idempotency: (digest: string) => `${own}:idem:${digest}`,
    /** Sorted set of all jobs of one tenant in creation order. */
    jobIndex: (tenant: string) => `${own}:index:${tenant}`,
    /** Names of the tenants that have an index. */
    tenants: `${own}:tenants`,
    /** What an attempt has begun or done with a vendor. */
    marker: (jobId: string) => `${own}:marker:${jobId}`,
    /** Hash of API key id → record. */
    apiKeys: `${own}:api-keys`,
    /** Published when a key changes. */
    apiKeysChanged: `${own}:api-keys-changed`,
    /** Published with a job id when a running job is to stop. */
    cancelled: `${own}:cancelled`,
    /** Requests counted in one window. */
    rateLimit: (subject: string, window: number) => `${own}:rate:${subject}:${window}`,
    /** Heartbeat of one worker process. */
    worker: (instanceId: string) => `${own}:worker:${instanceId}`,
    /** Ids of worker processes, scored by their latest heartbeat. */
    workers: `${own}:workers`,
    /** Secret that signs cursors, shared by all instances. */
    cursorSecret: `${own}:cursor-secret`,
  }
}

export type Keys = ReturnType<typeof createKeys>
