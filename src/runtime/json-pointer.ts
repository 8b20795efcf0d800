// Reads and replaces parts of JSON values by JSON Pointer (RFC 6901).

/** The names in a well-formed pointer. */
const toNames = (pointer: string): string[] =>
  pointer
    .split('/')
    .slice(1)
    .map((name) => name.replaceAll('~1', '/').replaceAll('~0', '~'))

const has = (value: unknown, name: string): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && Object.hasOwn(value, name) && !(Array.isArray(value) && name === 'length')

/** What a pointer leads to; undefined when that is nothing. */
export const readPointer = (value: unknown, pointer: string): unknown => {
  let at = value
  for (const name of toNames(pointer)) {
    if (!has(at, name)) return undefined
    at = at[name]
  }
  return at
}

/** Replaces, in place, what a pointer leads to. False, and nothing is changed, when it leads to nothing or to the whole value. */
export const replaceAtPointer = (value: unknown, pointer: string, replacement: unknown): boolean => {
  const end = pointer.lastIndexOf('/')
  if (end < 0) return false
  const parent = readPointer(value, pointer.slice(0, end))
  const [name = ''] = toNames(pointer.slice(end))
  if (!has(parent, name)) return false
  parent[name] = replacement
  return true
}
