// Measures the text of JSON before anything is built of it: very many names or objects take far longer to build and check than to send.

export const depthMax = 64
/** Different names of members in one text. */
export const namesMax = 5000
/** Objects and arrays in one text. */
export const containersMax = 50_000
/** Shorter texts cannot hold that many names, so these are not counted in ordinary ones. */
const countedCharsMin = 32_768

export type Excess = 'depth' | 'names' | 'containers'

const quote = 0x22
const backslash = 0x5c
const colon = 0x3a
const brackets = { open: 0x5b, close: 0x5d }
const braces = { open: 0x7b, close: 0x7d }

/** Which bound a text exceeds; null for none. Texts that are not JSON are measured all the same. */
export const findExcess = (text: string): Excess | null => {
  // A text of fewer characters than levels and their ends cannot be too deep.
  if (text.length <= depthMax) return null
  const countName = text.length < countedCharsMin ? null : createNameCounter()
  let depth = 0
  let containers = 0
  let at = 0
  while (at < text.length) {
    const code = text.charCodeAt(at)
    if (code === quote) {
      const end = skipString(text, at + 1)
      if (countName !== null && isName(text, end) && countName(text, at + 1, end - 1) > namesMax) return 'names'
      at = end
      continue
    }
    if (code === brackets.open || code === braces.open) {
      if (++depth > depthMax) return 'depth'
      if (++containers > containersMax) return 'containers'
    } else if (code === brackets.close || code === braces.close) depth--
    at++
  }
  return null
}

/** Where the string ends that starts before `at`. */
const skipString = (text: string, start: number): number => {
  let at = start
  for (;;) {
    const end = text.indexOf('"', at)
    if (end === -1) return text.length
    let slashes = 0
    while (text.charCodeAt(end - 1 - slashes) === backslash && end - 1 - slashes >= start) slashes++
    at = end + 1
    if (slashes % 2 === 0) return at
  }
}

/** Whether the string that ends before `at` names a member. */
const isName = (text: string, end: number): boolean => {
  let at = end
  for (;;) {
    const code = text.charCodeAt(at)
    if (code !== 0x20 && code !== 0x0a && code !== 0x0d && code !== 0x09) return code === colon
    at++
  }
}

/** Random, so that nobody can make up names that count as one. */
const seed = Math.floor(Math.random() * 2 ** 32)
/** A power of two, and several times the names that are counted. */
const slots = 32_768

/** Counts different names by a hash of each, which takes a tenth of the time of a Set. Returns the count so far. */
const createNameCounter = () => {
  const hashes = new Uint32Array(slots)
  let count = 0
  return (text: string, start: number, end: number): number => {
    let hash = seed
    for (let at = start; at < end; at++) hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193)
    // 0 marks a free slot.
    hash = (hash ^ (hash >>> 15)) >>> 0 || 1
    let slot = hash % slots
    while (hashes[slot] !== 0) {
      if (hashes[slot] === hash) return count
      slot = (slot + 1) % slots
    }
    hashes[slot] = hash
    return ++count
  }
}
