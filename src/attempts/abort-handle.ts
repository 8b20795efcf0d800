// Tells one attempt to stop: the first reason counts.

/** Why an attempt is to stop. `lost`: its driver no longer holds the job, so that nothing it says counts. */
export type AbortReason = 'cancelled' | 'timed_out' | 'lost' | 'shutdown'

/** One for each attempt. A class, so that its functions are shared: created per attempt, they were a fifth of what an attempt left behind in memory. */
export class AbortHandle {
  #reason: AbortReason | null = null
  #controller: AbortController | null = null
  #listener: (() => void) | null = null

  /** Null as long as the attempt may go on. */
  get reason(): AbortReason | null {
    return this.#reason
  }

  /** What a handler listens to, fired with the reason. Made when it is first asked for: many handlers never do. */
  get signal(): AbortSignal {
    if (!this.#controller) {
      this.#controller = new AbortController()
      if (this.#reason) this.#controller.abort(this.#reason)
    }
    return this.#controller.signal
  }

  abort(reason: AbortReason): void {
    if (this.#reason) return
    this.#reason = reason
    this.#controller?.abort(reason)
    this.#listener?.()
  }

  /** Calls back when the attempt is told to stop, at once if it has been. There is one listener. */
  onAbort(listener: () => void): void {
    this.#listener = listener
    if (this.#reason) listener()
  }
}
