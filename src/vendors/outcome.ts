// How a call to a vendor can end other than well: one vocabulary for all of them, so that job types read alike.

import type { JobErrorKind } from '../types/job-errors.js'

/** Why a call did not succeed. `message` is built from codes alone: no words of the vendor, no address, no data. */
export type VendorFailure<C extends string> =
  /** The vendor said no, and will say no again. */
  | { readonly kind: 'refused'; readonly code: C; readonly message: string }
  /** Nothing came of it; safe to repeat as it is. */
  | { readonly kind: 'unavailable'; readonly code: C; readonly message: string }
  /** It may have happened: ask the vendor before repeating it. */
  | { readonly kind: 'unconfirmed'; readonly code: C; readonly message: string }
  /** Not now: repeat after `afterMs`. */
  | { readonly kind: 'wait'; readonly code: C; readonly message: string; readonly afterMs: number }

/** What a call came to. */
export type VendorOutcome<T, C extends string> = { readonly kind: 'done'; readonly value: T } | VendorFailure<C>

/** The kind and code a vendor's own error code stands for. */
export interface VendorErrorClass<C extends string> {
  readonly kind: VendorFailure<C>['kind']
  readonly code: C
}

/**
 * Makes failures of one vendor's table: the meaning of the code as message, and the vendor's own code behind it where there is one.
 * `afterMs` counts for the kind `wait` only.
 */
export const createToFailure =
  <C extends string>(errors: Readonly<Record<C, JobErrorKind>>) =>
  ({ kind, code }: VendorErrorClass<C>, vendorCode?: string | number, afterMs = 1000): VendorFailure<C> => {
    const { meaning } = errors[code]
    // A vendor's code is text from outside: only a plain short word may enter a message.
    const isPlain = vendorCode !== undefined && /^[A-Za-z0-9_.]{1,80}$/.test(String(vendorCode))
    const message = isPlain ? `${meaning} (${vendorCode})` : meaning
    return kind === 'wait' ? { kind, code, message, afterMs } : { kind, code, message }
  }

/** Adds up to half as much again, so that jobs that wait for the same thing do not all return at once. */
export const withJitter = (ms: number): number => Math.ceil(ms * (1 + Math.random() / 2))

/** How an attempt ends after a failure that needs no looking after; fits the outcome of a job. */
export type FailedAttempt<C extends string> =
  | { readonly kind: 'fail' | 'retry'; readonly code: C; readonly message: string }
  | { readonly kind: 'defer'; readonly code: C; readonly message: string; readonly afterMs: number }

/** For calls that may be repeated as they are: an unconfirmed one is simply made again. */
export const toFailedAttempt = <C extends string>(failure: VendorFailure<C>): FailedAttempt<C> => {
  const { code, message } = failure
  if (failure.kind === 'wait') return { kind: 'defer', code, message, afterMs: failure.afterMs }
  return { kind: failure.kind === 'refused' ? 'fail' : 'retry', code, message }
}
