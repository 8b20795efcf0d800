// What a vendor brings to be accepted at /v1/inbound: which requests it makes, how they are read and how they are answered.

import type { TObject, TSchema } from '@sinclair/typebox'
import type { CallbackHeaders, CallbackReading } from './callback-checks.js'

/** A request of a vendor, as it came. */
export interface InboundRequest {
  readonly headers: CallbackHeaders
  readonly query: Readonly<Record<string, string>>
  /** Byte for byte; empty without a body. */
  readonly rawBody: Buffer
}

/** A text is answered as text, anything else as JSON. */
export type InboundAnswer = string | Readonly<Record<string, unknown>>

/** One route at the address of its vendor. `C` checks requests. */
export interface InboundRoute<C> {
  readonly method: 'GET' | 'POST'
  readonly operationId: string
  readonly summary: string
  readonly description: string
  /** Names of the headers that carry the signature. */
  readonly signatureHeaders: readonly string[]
  readonly querystring?: TObject
  /** The member of the body that holds what the vendor sends. */
  readonly sealed?: { readonly member: string; readonly description: string }
  /** The body of 200. */
  readonly answer: { readonly description: string; readonly schema: TSchema }
  read(callback: C, request: InboundRequest): CallbackReading
  /** Confirms an event once it is stored. */
  readonly receipt: InboundAnswer
  toChallengeAnswer(text: string): InboundAnswer
}

/** All that one vendor sends to `/v1/inbound/{source}`. `S` are the settings of its subject. */
export interface InboundSource<S, C> {
  readonly source: string
  /** What an operator has to set for its events to be accepted. */
  readonly variable: string
  /** What checks its requests; undefined when its settings are absent. */
  open(settings: S): C | undefined
  readonly routes: readonly InboundRoute<C>[]
}
