// The sentences that say most of what the others say too: TextRank, over parts of a long transcript if need be.

const damping = 0.85
const roundsMax = 100
const settled = 1e-6

/** One sentence to be ranked. */
export interface Candidate {
  readonly index: number
  /** In lower case: equal texts are repetitions. */
  readonly text: string
  /** Keys of its content words. */
  readonly keys: ReadonlySet<string>
}

/**
 * The `max` most central sentences, in the order of the transcript; equal ranks go to the earlier sentence,
 * and one that repeats an earlier one word for word is passed over.
 * More than `sentencesMax` are ranked part by part, and then the best of each part against each other:
 * time and memory grow with the square of what is ranked at once.
 */
export const toSummary = (sentences: readonly Candidate[], max: number, sentencesMax: number): number[] => {
  const seen = new Set<string>()
  const candidates = sentences.filter(({ text, keys }) => keys.size > 0 && !seen.has(text) && seen.add(text))
  return best(candidates, max, Math.max(sentencesMax, 2 * max)).map(({ index }) => index)
}

const best = (candidates: readonly Candidate[], max: number, sentencesMax: number): Candidate[] => {
  if (candidates.length <= sentencesMax) return choose(candidates, rank(candidates), max)
  const winners: Candidate[] = []
  for (let start = 0; start < candidates.length; start += sentencesMax) {
    winners.push(...best(candidates.slice(start, start + sentencesMax), max, sentencesMax))
  }
  return best(winners, max, sentencesMax)
}

const choose = (candidates: readonly Candidate[], ranks: Float64Array, max: number): Candidate[] => {
  const order = candidates.map((candidate, at) => ({ candidate, rank: ranks[at] ?? 0 }))
  // Equal ranks may differ in their last bits by the order of addition; rounding makes them ties again.
  const grade = (value: number): number => Math.round(value * 1e9)
  order.sort((a, b) => grade(b.rank) - grade(a.rank) || a.candidate.index - b.candidate.index)
  return order
    .slice(0, max)
    .map(({ candidate }) => candidate)
    .sort((a, b) => a.index - b.index)
}

/** PageRank over the likeness of sentences; the ranks add up to their number. */
const rank = (candidates: readonly Candidate[]): Float64Array => {
  const size = candidates.length
  const likeness = toLikeness(candidates)
  const sums = new Float64Array(size)
  for (let i = 0; i < size; i++) for (let j = 0; j < size; j++) sums[i] = at(sums, i) + at(likeness, i * size + j)
  let ranks: Float64Array = new Float64Array(size).fill(1)
  for (let turn = 0; turn < roundsMax; turn++) {
    const next = new Float64Array(size).fill(1 - damping)
    for (let i = 0; i < size; i++) {
      if (at(sums, i) === 0) continue
      const given = (damping * at(ranks, i)) / at(sums, i)
      for (let j = 0; j < size; j++) next[j] = at(next, j) + given * at(likeness, i * size + j)
    }
    let change = 0
    for (let i = 0; i < size; i++) change = Math.max(change, Math.abs(at(next, i) - at(ranks, i)))
    ranks = next
    if (change < settled) break
  }
  return ranks
}

/** Shared words over the logarithms of both lengths, as a symmetric matrix in rows; 0 on the diagonal. */
const toLikeness = (candidates: readonly Candidate[]): Float64Array => {
  const size = candidates.length
  const shared = new Float64Array(size * size)
  const holders = new Map<string, number[]>()
  for (const [i, { keys }] of candidates.entries()) {
    for (const key of keys) {
      const earlier = holders.get(key) ?? []
      for (const j of earlier) shared[j * size + i] = at(shared, j * size + i) + 1
      earlier.push(i)
      holders.set(key, earlier)
    }
  }
  const weights = candidates.map(({ keys }) => Math.log(1 + keys.size))
  for (let i = 0; i < size; i++) {
    for (let j = i + 1; j < size; j++) {
      const value = at(shared, i * size + j) / ((weights[i] ?? 0) + (weights[j] ?? 0))
      shared[i * size + j] = value
      shared[j * size + i] = value
    }
  }
  return shared
}

const at = (numbers: Float64Array, index: number): number => numbers[index] as number
