// Reads Accept: whether a media type may be answered, and which of several a client likes best.

const headerLengthMax = 2048

interface Range {
  readonly type: string
  readonly quality: number
}

/** How much a client wants `mediaType`: 0 for not at all, 1 at most. Without a header everything is welcome. */
export const qualityOf = (header: string | undefined, mediaType: string): number => {
  if (header === undefined || header.trim() === '' || header.length > headerLengthMax) return 1
  const ranges = header.split(',').map(toRange)
  const [family = ''] = mediaType.split('/')
  // The most specific range decides (RFC 9110, section 12.5.1).
  for (const wanted of [mediaType, `${family}/*`, '*/*']) {
    const range = ranges.find(({ type }) => type === wanted)
    if (range) return range.quality
  }
  return 0
}

/** The first of `mediaTypes` that no other beats; null when the client accepts none. */
export const preferredType = <T extends string>(header: string | undefined, mediaTypes: readonly T[]): T | null => {
  let best: T | null = null
  let bestQuality = 0
  for (const mediaType of mediaTypes) {
    const quality = qualityOf(header, mediaType)
    if (quality > bestQuality) {
      best = mediaType
      bestQuality = quality
    }
  }
  return best
}

const toRange = (text: string): Range => {
  const [type = '', ...parameters] = text.split(';').map((part) => part.trim().toLowerCase())
  const quality = parameters.find((part) => part.startsWith('q='))?.slice(2)
  const value = quality === undefined ? 1 : Number(quality)
  return { type, quality: value >= 0 && value <= 1 ? value : 0 }
}
