// A child logger that is only made when it has something to write: most requests never do.

import type { Bindings, ChildLoggerOptions, Logger } from 'pino'

type Level = 'fatal' | 'error' | 'warn' | 'info' | 'debug' | 'trace'
type LogCall = (...args: unknown[]) => void

interface Lazy {
  readonly parent: Logger
  readonly bindings: () => Bindings
  made: Logger | undefined
}

const make = (lazy: Lazy): Logger => {
  lazy.made ??= lazy.parent.child(lazy.bindings())
  return lazy.made
}

const logAt = (level: Level): LogCall =>
  function (this: Lazy, ...args: unknown[]) {
    if (this.parent.isLevelEnabled(level)) (make(this)[level] as LogCall)(...args)
  } as LogCall

const prototype = {
  fatal: logAt('fatal'),
  error: logAt('error'),
  warn: logAt('warn'),
  info: logAt('info'),
  debug: logAt('debug'),
  trace: logAt('trace'),
  silent: () => {},
  get level(): string {
    return (this as unknown as Lazy).parent.level
  },
  isLevelEnabled(this: Lazy, level: string): boolean {
    return this.parent.isLevelEnabled(level)
  },
  child(this: Lazy, bindings: Bindings, options?: ChildLoggerOptions): Logger {
    return make(this).child(bindings, options) as Logger
  },
}

/**
 * Logs like `parent.child(bindings())`; `bindings` is asked once, before the first line that is written.
 * Two of these are made for every request, hence the literal: its shape is known from the start.
 */
export const createLazyLogger = (parent: Logger, bindings: () => Bindings): Logger =>
  ({ __proto__: prototype, parent, bindings, made: undefined }) as unknown as Logger
