// Reads every line that the processes log: each has to be one JSON object on one line, whatever attackers send.

/** A line as it was parsed. */
export type LogLine = Readonly<Record<string, unknown>>

const linesKept = 200
const faultsKept = 20

/** The few lines that are for people: where the first key is, when it was made. */
const isAnnouncement = (line: string): boolean => line === '' || line.startsWith('First API key ') || /^ {2}jg_\S+$/.test(line)

export const createLogWatch = () => {
  const tail: string[] = []
  const faults: string[] = []
  const canaries = new Map<string, string>()
  const waiting = new Set<{ matches(line: LogLine): boolean; resolve(line: LogLine): void }>()
  let lines = 0
  let errors = 0
  let forged = 0

  const fault = (text: string) => {
    if (faults.length < faultsKept) faults.push(text)
  }

  const read = (line: string): LogLine | null => {
    const value = parse(line)
    if (typeof value !== 'object' || value === null || Array.isArray(value)) {
      fault(`a log line is not a JSON object: ${JSON.stringify(line.slice(0, 200))}`)
      return null
    }
    return value as LogLine
  }

  return {
    /** `isLog`: of standard output; what Node itself warns of goes elsewhere, and in a form of its own. */
    add(line: string, isLog = true): void {
      if (isAnnouncement(line)) return
      lines++
      tail.push(line)
      if (tail.length > linesKept) tail.shift()
      if (/\p{Cc}|[\u2028\u2029]/u.test(line)) fault(`a log line contains a control character: ${JSON.stringify(line.slice(0, 200))}`)
      for (const [secret, name] of canaries) if (line.includes(secret)) fault(`${name} is in a log line: ${line.slice(0, 200)}`)
      const parsed = isLog ? read(line) : null
      if (!parsed) return
      if (parsed['msg'] === 'forged') forged++
      if (parsed['level'] === 'error' || parsed['level'] === 'fatal') errors++
      for (const each of waiting) if (each.matches(parsed)) each.resolve(parsed)
    },
    /** From now on no line may contain it. */
    plant(name: string, secret: string): void {
      canaries.set(secret, name)
    },
    /** Resolves with the next line like this. */
    find: (matches: (line: LogLine) => boolean, signal: AbortSignal): Promise<LogLine> =>
      new Promise((resolve, reject) => {
        waiting.add({ matches, resolve })
        signal.addEventListener('abort', () => reject(new Error(`not logged in time; last lines:\n${tail.join('\n')}`)))
      }),
    lines: () => lines,
    /** How many lines were errors. */
    errors: () => errors,
    /** How many lines say `forged`, which no line of ours does. */
    forged: () => forged,
    /** What was wrong with lines, and forgets it. */
    takeFaults: (): string[] => faults.splice(0),
    tail: (): readonly string[] => tail.slice(-linesKept),
  }
}

export type LogWatch = ReturnType<typeof createLogWatch>

const parse = (line: string): unknown => {
  try {
    return JSON.parse(line)
  } catch {
    return undefined
  }
}
