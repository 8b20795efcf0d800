// Rounds: every measurement of a row once, then all of them again.

/**
 * `measures` is a table of functions; resolves with what each returned in each round, the warming-up one left out.
 * `before` runs ahead of each measurement. `alternates`: every other round goes backwards, so that no measurement always comes first.
 */
export const inRounds = async (rounds, measures, { before = () => {}, alternates = false } = {}) => {
  const results = []
  for (let round = 0; round <= rounds; round++) {
    const measured = {}
    const entries = Object.entries(measures)
    for (const [name, measure] of alternates && round % 2 === 1 ? entries.reverse() : entries) {
      await before(name)
      measured[name] = await measure()
    }
    if (round > 0) results.push(measured)
    process.stderr.write(round === 0 ? 'warmed up\n' : `round ${round} of ${rounds}\n`)
  }
  return results
}
