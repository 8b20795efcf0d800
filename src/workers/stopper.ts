// Tells one attempt to stop: the first reason counts.

/** Why an attempt is to stop. */
export type StopReason = 'cancelled' | 'timed_out' | 'lock_lost' | 'shutdown'

export interface Stopper {
  /** Null as long as the attempt may go on. */
  readonly reason: StopReason | null
  /** What a handler listens to, fired with the reason. Made when it is first asked for: many handlers never do. */
  readonly signal: AbortSignal
  stop(reason: StopReason): void
  /** Calls back when the attempt is told to stop, at once if it has been. There is one listener. */
  onStop(listener: () => void): void
}

/** One for each attempt. */
export const createStopper = (): Stopper => {
  let stopped: StopReason | null = null
  let controller: AbortController | undefined
  let told: (() => void) | undefined
  return {
    get reason() {
      return stopped
    },
    get signal() {
      if (!controller) {
        controller = new AbortController()
        if (stopped) controller.abort(stopped)
      }
      return controller.signal
    },
    stop(reason) {
      if (stopped) return
      stopped = reason
      controller?.abort(reason)
      told?.()
    },
    onStop(listener) {
      told = listener
      if (stopped) listener()
    },
  }
}
