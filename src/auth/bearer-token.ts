// Reads bearer tokens, and checks one that the operator chose, such as METRICS_TOKEN.

import { hash } from 'node:crypto'
import { isSameDigest } from './key-format.js'

/** Bounded, and without the blanks that would make it two words. */
const bearer = /^Bearer +([\x21-\x7e]{1,512}) *$/i

/** The token within `Authorization: Bearer …`; null for none, another scheme, or what cannot be one. */
export const toBearerToken = (header: string | undefined): string | null => bearer.exec(header ?? '')?.[1] ?? null

const digestOf = (text: string): Buffer => hash('sha256', text, 'buffer')

/** Gives a check of an Authorization header. Without a token everybody passes. */
export const createTokenCheck = (token: string | undefined): ((header: string | undefined) => boolean) => {
  if (token === undefined) return () => true
  const wanted = digestOf(token)
  return (header) => {
    const given = toBearerToken(header)
    return given !== null && isSameDigest(digestOf(given), wanted)
  }
}
