// Tells what a failed Redis command means for the caller: nothing was written, or nobody knows.

/** Refused before anything was written. ioredis reports a stream that was never writable by its message alone. */
const refusedReplies = /^(OOM|NOREPLICAS|READONLY|LOADING|BUSY|MASTERDOWN|CLUSTERDOWN|TRYAGAIN|NOAUTH|WRONGPASS|NOPERM|MISCONF)\b/
const refusedLocally = /^(Stream isn't writeable and enableOfflineQueue options is false|None of startup nodes is available)/
/** The command may have been carried out although no answer came. */
const unknownLocally =
  /^(Command timed out|Connection is closed|Reached the max retries per request limit|Connection lost|Socket timeout|Cluster isn't ready|Too many Cluster redirections|ERR WAIT)/
const networkCodes = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'EPIPE',
  'ENOENT',
  'ETIMEDOUT',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ENOTFOUND',
  'EAI_AGAIN',
])

/**
 * `refused`: Redis did not write anything. `unknown`: it may have. null: the error is not one of Redis's availability.
 * Seen with ioredis 5.11 and 6.0.
 */
export const classifyRedisError = (error: unknown): 'refused' | 'unknown' | null => {
  if (!(error instanceof Error)) return null
  const { message, name } = error
  if (refusedReplies.test(message) || refusedLocally.test(message)) return 'refused'
  if (name === 'MaxRetriesPerRequestError' || name === 'AbortError' || name === 'ClusterAllFailedError') return 'unknown'
  if (unknownLocally.test(message)) return 'unknown'
  const code = (error as NodeJS.ErrnoException).code
  return code !== undefined && networkCodes.has(code) ? 'unknown' : null
}
