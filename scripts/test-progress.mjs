// One line that says how far a test run is, made from the TAP that tap writes while it runs.

/** How often a run that no terminal shows says how far it is, in milliseconds. */
const pauseMs = 30_000

/** What stands between two files of an interactive run: to the start of the line, and clear it. */
const clearLine = '\r\u001b[K'

/**
 * @typedef {{ total: number | null, done: number, failed: number, last?: string }} RunState
 */

/**
 * Counts what lines of TAP tell. `take` wants them one by one; `state` is how far the run is: test files in total (null until tap
 * knows), done and failed, the file that was done last, and whether the line just taken brought one.
 */
export const createTally = () => {
  /** @type {RunState} */
  const state = { total: null, done: 0, failed: 0, last: '' }
  return {
    state,
    take(line) {
      // Plans and results of the run itself stand at the margin; those within files are indented.
      const plan = /^1\.\.(\d+)/.exec(line)
      if (plan) state.total ??= Number(plan[1])
      const result = /^(not )?ok \d+ - (\S+)/.exec(line)
      if (!result) return null
      state.done++
      state.last = result[2]
      const isFailed = result[1] !== undefined && !/ # (SKIP|TODO)/.test(line)
      if (isFailed) state.failed++
      return { file: result[2], isFailed }
    },
  }
}

const toClock = (ms) => {
  const seconds = Math.floor(ms / 1000)
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, '0')}`
}

/**
 * Such as `12/110 test files, 1 failed, 2:05`.
 * @param {RunState} state
 * @param {number} elapsedMs
 */
export const toProgress = ({ total, done, failed }, elapsedMs) =>
  `${done}/${total ?? '?'} test files, ${failed} failed, ${toClock(elapsedMs)}`

/**
 * Shows the progress of TAP that is fed to `write`: on a terminal one line, rewritten in place; otherwise a line now and then.
 * A file that fails is named at once. `close` ends the line.
 */
export const showProgress = ({ out = process.stdout, now = Date.now } = {}) => {
  const tally = createTally()
  const begun = now()
  const isTerminal = out.isTTY === true
  let rest = ''
  const show = () => {
    const text = toProgress(tally.state, now() - begun)
    if (!isTerminal) return out.write(`${text}\n`)
    const last = tally.state.last === '' ? '' : `  ${tally.state.last}`
    out.write(`${clearLine}${`${text}${last}`.slice(0, Math.max(20, (out.columns ?? 80) - 1))}`)
  }
  const timer = setInterval(show, isTerminal ? 1000 : pauseMs)
  timer.unref()
  return {
    write(chunk) {
      const lines = (rest + chunk).split('\n')
      rest = lines.pop()
      for (const line of lines) {
        const result = tally.take(line)
        if (result?.isFailed) out.write(`${isTerminal ? clearLine : ''}failed: ${result.file}\n`)
        if (result && isTerminal) show()
      }
    },
    close() {
      clearInterval(timer)
      show()
      if (isTerminal) out.write('\n')
    },
  }
}
