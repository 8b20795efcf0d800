// Knows which methods a path answers, so that a wrong method is told apart from a wrong path (405 and 404).

/** A table of route patterns as Fastify writes them: `/v1/jobs/:id`, `/docs/*`. */
export const createRouteTable = () => {
  const routes = new Map<string, { parts: string[]; methods: Set<string> }>()

  return {
    add(methods: string | readonly string[], url: string): void {
      // A catch-all, such as that of a CORS plugin, is no address of its own.
      if (url === '*' || url === '/*') return
      const route = routes.get(url) ?? { parts: url.split('/'), methods: new Set<string>() }
      for (const method of [methods].flat()) route.methods.add(method)
      routes.set(url, route)
    },

    /** Methods of every pattern that fits the path, sorted; empty when none does. */
    methodsAt(path: string): string[] {
      const parts = path.split('/', 64)
      const found = new Set<string>()
      for (const route of routes.values()) {
        if (fits(route.parts, parts)) for (const method of route.methods) found.add(method)
      }
      return [...found].sort()
    },
  }
}

const fits = (pattern: readonly string[], parts: readonly string[]): boolean => {
  for (const [index, part] of pattern.entries()) {
    if (part === '*') return parts.length > index
    const given = parts[index]
    if (given === undefined) return false
    if (part.startsWith(':') ? given === '' : part !== given) return false
  }
  return pattern.length === parts.length
}
