// Tells what a failed Redis command means for the caller: nothing was written, or nobody knows.

/** Replies by which the server, or a script before its first write, says that it did nothing. */
const refusalCodes =
  'OOM|NOREPLICAS|READONLY|LOADING|BUSY|MASTERDOWN|CLUSTERDOWN|TRYAGAIN|MOVED|ASK|NOAUTH|WRONGPASS|NOPERM|MISCONF|EXECABORT|NOSCRIPT'
const refusedReplies = new RegExp(`^(?:(?:${refusalCodes})\\b|ERR max number of clients reached|ERR AUTH )`)
/** Redis 6.2 wraps what a command inside a script answered. */
const refusedInScript = /^ERR Error running script .*-(?:OOM|NOREPLICAS|READONLY|MISCONF)\b/s
/** ioredis 5.11 and 6.0 name what they never sent by the message alone. */
const refusedLocally =
  /^(?:DURABILITY=|Stream isn't writeable and enableOfflineQueue options is false|Cluster isn't ready and enableOfflineQueue options is false|None of startup nodes is available)/
/** The command may have been carried out although no answer came. */
const unknownLocally =
  /^(?:Not confirmed by Redis|Command timed out|Connection is closed|Reached the max retries per request limit|Socket timeout|Too many Cluster redirections|Socket closed unexpectedly|Failed to refresh slots cache|All sentinels are unreachable)/
const unknownNames = new Set(['MaxRetriesPerRequestError', 'AbortError', 'ClusterAllFailedError', 'InterruptError'])
const networkCodes = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'EPIPE',
  'ENOENT',
  'ETIMEDOUT',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ENETDOWN',
  'ENOTFOUND',
  'EAI_AGAIN',
])

/**
 * `refused`: Redis did not write anything. `unknown`: it may have. null: the error is not one of Redis's availability.
 * In doubt it is `unknown`, which makes the caller ask the client to send the same key again.
 */
export const classifyRedisError = (error: unknown): 'refused' | 'unknown' | null => {
  if (!(error instanceof Error)) return null
  const { message, name } = error
  if (refusedReplies.test(message) || refusedInScript.test(message) || refusedLocally.test(message)) return 'refused'
  if (unknownNames.has(name) || unknownLocally.test(message)) return 'unknown'
  const code = (error as NodeJS.ErrnoException).code
  return code !== undefined && networkCodes.has(code) ? 'unknown' : null
}

/** What a Cluster and scripts answer so that a command is sent another way: ioredis has to see it as it is. */
const redirections = /^(?:MOVED|ASK|TRYAGAIN|NOSCRIPT)\b/

/**
 * What to make of the `error` of a command that was written to a socket `sends` times. An answer speaks of the last one,
 * and what could not be sent in the end may have been sent before: when an earlier one was not answered, it is unknown.
 * A redirected one counts as unanswered, too.
 */
export const afterSends = (error: Error, sends: number): Error => {
  const isReply = error.name === 'ReplyError'
  const unanswered = isReply ? sends - 1 : sends
  if (unanswered < 1 || !(isReply || refusedLocally.test(error.message)) || redirections.test(error.message)) return error
  return unconfirmed(error.message)
}

/** Whether Redis takes no writes at the moment, although it would have answered a script that had nothing to write. */
export const refusesWrites = (error: unknown): boolean =>
  error instanceof Error && (/^(?:OOM|NOREPLICAS|MISCONF)\b/.test(error.message) || refusedInScript.test(error.message))

/** For a write that was sent and is not as safe as it should be: unknown. */
export const unconfirmed = (why: string): Error => new Error(`Not confirmed by Redis: ${why}`)

/** For a write that was not sent since this Redis cannot make it safe: refused. `fault` begins with the variable. */
export const unfit = (fault: string): Error => new Error(fault)
