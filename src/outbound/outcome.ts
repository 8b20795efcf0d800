// How a fetch of an address that others chose ends, and how its body breaks off.

import type { OutboundRefusal } from './rules.js'

/** How a fetch ended, or, for `response`, how it began. */
export type OutboundOutcome =
  | OutboundResponse
  /** A rule forbids the address or one it redirects to; nothing was sent there. */
  | { readonly kind: 'refused'; readonly reason: OutboundRefusal }
  | { readonly kind: 'too-many-redirects' }
  /** The announced length exceeds `maxBytes`. */
  | { readonly kind: 'too-large' }
  /** The server compressed the body although it was asked not to; it is not unpacked here. */
  | { readonly kind: 'encoded' }
  | { readonly kind: 'unreachable' }
  | { readonly kind: 'timeout' }
  | { readonly kind: 'aborted' }

export interface OutboundResponse {
  readonly kind: 'response'
  /** Any status; 3xx only where no redirect could be followed. */
  readonly status: number
  /** Names in lower case; repeated ones joined by a comma. */
  readonly headers: Readonly<Record<string, string>>
  /** As announced; null when the server announces none. */
  readonly sizeBytes: number | null
  /** To be read once. Throws errors that `outboundFault` explains. */
  readonly body: AsyncIterable<Buffer>
  /** Drops the connection; harmless after the body was read. */
  discard(): void
}

/** Why a body broke off: over `maxBytes`, cut off, silent or slow for too long, or aborted by the caller. */
export type OutboundFault = 'too-large' | 'interrupted' | 'timeout' | 'aborted'

/** Explains an error that a response's body threw; null for errors from elsewhere. */
export const outboundFault = (error: unknown): OutboundFault | null => (error as { outboundFault?: OutboundFault })?.outboundFault ?? null
