// Opens one thing after another and closes them in reverse, also when the start fails half-way.

/** A step of a start or a stop, before it is taken. What it throws fails the step. */
export type WatchScope = (step: 'opening' | 'closing', name: string) => void

export interface Scope {
  /**
   * Resolves with what `opener` gives, which is closed with the scope: by `close`, or else by a `close()` of its own if it has one.
   * Rejects with the error of `opener`; what was opened before stays open until the scope is closed.
   */
  open<T>(name: string, opener: () => T | Promise<T>, close?: (opened: T) => unknown): Promise<T>
  /** Calls `close` when the scope is closed. */
  defer(name: string, close: () => unknown): void
  /** A scope of its own, which can be closed early and is closed with this one. */
  child(name: string): Scope
  /** True from the call of `close` on: nothing more is opened. */
  isClosing(): boolean
  /**
   * Waits for what is being opened, then closes everything, the last opened first. Every close runs even if another fails;
   * rejects afterwards with its error, or an AggregateError. Further calls share one promise.
   */
  close(): Promise<void>
}

interface Closer {
  readonly name: string
  readonly close: () => unknown
}

/** `watch` is told of every step, with the names of child scopes in front. */
export const createScope = ({ watch = () => {} }: { watch?: WatchScope } = {}): Scope => {
  const closers: Closer[] = []
  const opening = new Set<Promise<unknown>>()
  let closing: Promise<void> | undefined

  const closeAll = async (): Promise<void> => {
    await Promise.allSettled(opening)
    const errors: unknown[] = []
    for (let last = closers.pop(); last; last = closers.pop()) {
      try {
        watch('closing', last.name)
        await last.close()
      } catch (error) {
        errors.push(error)
      }
    }
    if (errors.length > 1) throw new AggregateError(errors, errors.map((error) => (error as Error).message).join('; '))
    if (errors.length === 1) throw errors[0]
  }

  const requireOpen = (name: string): void => {
    if (closing) throw new Error(`${name} is not opened: its scope is closing`)
  }

  const openOne = async <T>(name: string, opener: () => T | Promise<T>, close: (opened: T) => unknown): Promise<T> => {
    watch('opening', name)
    const opened = await opener()
    closers.push({ name, close: () => close(opened) })
    return opened
  }

  return {
    async open(name, opener, close = closeItself) {
      requireOpen(name)
      const underWay = openOne(name, opener, close)
      opening.add(underWay)
      const opened = await underWay.finally(() => opening.delete(underWay))
      // Closed meanwhile, and with it what was just opened: nobody must use it.
      requireOpen(name)
      return opened
    },
    defer(name, close) {
      requireOpen(name)
      closers.push({ name, close })
    },
    child(name) {
      requireOpen(name)
      const scope = createScope({ watch: (step, part) => watch(step, `${name}: ${part}`) })
      closers.push({ name, close: scope.close })
      return scope
    },
    isClosing: () => closing !== undefined,
    close: () => (closing ??= closeAll()),
  }
}

const closeItself = (opened: unknown): unknown => (opened as { close?: () => unknown } | null | undefined)?.close?.()

/**
 * Resolves with what `start` gives. When it fails, `scope` is closed first, and this rejects with its error; with an AggregateError
 * of the same message when closing fails too.
 */
export const closeOnFailure = async <T>(scope: Scope, start: () => Promise<T>): Promise<T> => {
  try {
    return await start()
  } catch (error) {
    await scope.close().catch((failure: unknown) => {
      throw new AggregateError([error, failure], (error as Error).message)
    })
    throw error
  }
}
