// Conditional requests (RFC 9110, section 13): is what the client knows still current?

import { problem } from '../problems/problem-json.js'

/** Compares weakly; `header` is If-None-Match: `*` or a list of ETags, weak or strong. */
export const matchesEtag = (header: string | undefined, etag: string): boolean => {
  if (header === undefined) return false
  if (header.trim() === '*') return true
  const wanted = opaque(etag)
  return (header.match(/(?:W\/)?"[^"]*"/g) ?? []).some((each) => opaque(each) === wanted)
}

const opaque = (etag: string): string => etag.replace(/^W\//, '')

const listedTag = /^((?:W\/)?)"([\x21\x23-\x7e]*)"$/
const tagsMax = 20

/**
 * The ETags of If-Match or If-None-Match on a request that changes something, without quotes; `'*'` stands for any. A weak one keeps its
 * `W/`: it is none of ours. Undefined without the header; throws 400 when it is no list of ETags.
 */
export const readEntityTags = (name: string, header: string | undefined): readonly string[] | '*' | undefined => {
  if (header === undefined) return undefined
  if (header.trim() === '*') return '*'
  const tags = header.split(',').map((each) => listedTag.exec(each.trim())?.slice(1).join(''))
  if (tags.length > tagsMax || tags.includes(undefined)) {
    throw problem('bad-request', `${name} must be * or a list of at most ${tagsMax} ETags in double quotes, such as "1-abc".`)
  }
  return tags as string[]
}
