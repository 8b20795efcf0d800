// Conditional reading (RFC 9110, section 13): is what the client knows still current?

/** Compares weakly; `header` is If-None-Match: `*` or a list of ETags, weak or strong. */
export const matchesEtag = (header: string | undefined, etag: string): boolean => {
  if (header === undefined) return false
  if (header.trim() === '*') return true
  const wanted = opaque(etag)
  return (header.match(/(?:W\/)?"[^"]*"/g) ?? []).some((each) => opaque(each) === wanted)
}

const opaque = (etag: string): string => etag.replace(/^W\//, '')
