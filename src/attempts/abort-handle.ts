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

interface State {
  reason: StopReason | null
  controller: AbortController | null
  told: (() => void) | null
}

const prototype = {
  get signal(): AbortSignal {
    const state = this as unknown as State
    if (!state.controller) {
      state.controller = new AbortController()
      if (state.reason) state.controller.abort(state.reason)
    }
    return state.controller.signal
  },
  stop(this: State, reason: StopReason) {
    if (this.reason) return
    this.reason = reason
    this.controller?.abort(reason)
    this.told?.()
  },
  onStop(this: State, listener: () => void) {
    this.told = listener
    if (this.reason) listener()
  },
}

/** One for each attempt. Its functions are shared: made anew they were a fifth of what an attempt left behind in memory. */
export const createStopper = (): Stopper => ({ __proto__: prototype, reason: null, controller: null, told: null }) as unknown as Stopper
