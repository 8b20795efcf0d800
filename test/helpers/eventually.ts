// Waits for a condition that no event announces.

const pollMs = 5

/** Resolves once `holds` does, asking again and again; rejects after `deadlineMs`, which only ends a wait in vain, with what was waited for. */
export const eventually = async (what: string, holds: () => boolean | Promise<boolean>, deadlineMs = 60_000): Promise<void> => {
  const until = Date.now() + deadlineMs
  while (!(await holds())) {
    if (Date.now() > until) throw new Error(`Not within ${deadlineMs} ms: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, pollMs))
  }
}
