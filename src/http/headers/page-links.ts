// Links from one page of a list to the next (RFC 8288).

/** `rel="first"` and, unless this is the last page, `rel="next"`; both repeat the filters of `query`. */
export const toPageLinks = (path: string, query: Readonly<Record<string, unknown>>, next: string | null): string => {
  const link = (relation: string, cursor: string | null) => {
    const parameters = new URLSearchParams()
    for (const [name, value] of Object.entries(query)) if (name !== 'cursor' && value !== undefined) parameters.set(name, String(value))
    if (cursor !== null) parameters.set('cursor', cursor)
    return `<${path}?${parameters}>; rel="${relation}"`
  }
  return next === null ? link('first', null) : `${link('first', null)}, ${link('next', next)}`
}
