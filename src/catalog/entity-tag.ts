// Tells versions of a job type apart, for requests that change only the one that they have read.

import type { StoredHead, TypeHead } from '../bullmq/registered/type-records.js'

/** Entity tags as `If-Match` and `If-None-Match` list them, without quotes; `'*'` stands for any. */
export type EntityTags = readonly string[] | '*'

export interface Preconditions {
  readonly ifMatch?: EntityTags | undefined
  readonly ifNoneMatch?: EntityTags | undefined
}

/** The strong entity tag of the latest version, without quotes. */
export const toEntityTag = ({ digest, version }: Pick<TypeHead, 'digest' | 'version'>): string => `${version}-${digest.slice(0, 16)}`

/** Whether a request with these may change the type; `before` is null when there is none. */
export const meets = (before: StoredHead | null, { ifMatch, ifNoneMatch }: Preconditions): boolean => {
  const includes = (tags: EntityTags) => before !== null && (tags === '*' || tags.includes(toEntityTag(before.head)))
  return (ifMatch === undefined || includes(ifMatch)) && (ifNoneMatch === undefined || !includes(ifNoneMatch))
}
