// Counts what one tenant holds open at once, so that it cannot take everything.

/** `enter` gives the function that leaves again, or null when the tenant already holds `max`. */
export const createTenantCap = (max: number) => {
  const held = new Map<string, number>()
  return {
    enter(tenant: string): (() => void) | null {
      const count = held.get(tenant) ?? 0
      if (count >= max) return null
      held.set(tenant, count + 1)
      let left = false
      return () => {
        if (left) return
        left = true
        const rest = (held.get(tenant) as number) - 1
        if (rest === 0) held.delete(tenant)
        else held.set(tenant, rest)
      }
    },
    /** All that is held open now. */
    total: (): number => [...held.values()].reduce((sum, count) => sum + count, 0),
  }
}
