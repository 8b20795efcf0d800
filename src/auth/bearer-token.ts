// Checks one token that the operator chose, such as METRICS_TOKEN.

import { hash } from 'node:crypto'
import { isSameDigest } from './key-format.js'

const digestOf = (text: string): Buffer => hash('sha256', text, 'buffer')

/** Gives a check of an Authorization header. Without a token everybody passes. */
export const createTokenCheck = (token: string | undefined): ((header: string | undefined) => boolean) => {
  if (token === undefined) return () => true
  const wanted = digestOf(token)
  return (header) => {
    const [, given] = /^Bearer +([\x21-\x7e]{1,512}) *$/i.exec(header ?? '') ?? []
    return given !== undefined && isSameDigest(digestOf(given), wanted)
  }
}
