// Row 21: requests that arrive so slowly that they would never end, on every route that reads a body.

import type { Attack, Row } from '../row.js'
import { type SlowEnd, sendSlowly } from '../send-slowly.js'

/** Headers and JSON bodies alike: the default of BODY_TIMEOUT_MS, and the server's own limit for headers. */
const limitMs = 10_000
/** NDJSON_IDLE_MS. */
const importLimitMs = 30_000
/** Promised is one second more than the limit. */
const marginMs = 1500
/** The same on a busy machine. */
const quickMarginMs = 10_000
/** Of each kind at once. */
const clients = 8

interface Kind {
  readonly what: string
  begin(key: string): string
  /** What drips; empty for silence. */
  readonly drip: string
  readonly limitMs: number
  readonly quick: boolean
  /** Any of these, once, or no answer at all. */
  readonly statuses: readonly (number | null)[]
}

const body =
  (line: string, type = 'application/json', more = 'Content-Length: 1000000\r\n') =>
  (key: string) =>
    `${line} HTTP/1.1\r\nHost: gateway\r\nAuthorization: Bearer ${key}\r\nContent-Type: ${type}\r\n${more}\r\n`
const form = 'application/x-www-form-urlencoded'
const kind = (what: string, begin: Kind['begin'], statuses: Kind['statuses'] = [408], drip = ' ', more: Partial<Kind> = {}): Kind => ({
  what,
  begin,
  drip,
  statuses,
  limitMs,
  quick: true,
  ...more,
})

const kinds: readonly Kind[] = [
  kind('nothing at all', () => '', [408, null], ''),
  kind('a request line without an end', () => 'GET /livez', [408], 'a'),
  kind('headers without an end', () => 'GET /livez HTTP/1.1\r\nHost: gateway\r\n', [408], 'X: y\r\n'),
  kind('headers that stop', () => 'GET /livez HTTP/1.1\r\nHost: gateway\r\n', [408], ''),
  kind('a submission', body('POST /v1/jobs')),
  kind('a submission that stops', body('POST /v1/jobs'), [408], ''),
  kind('a submission in chunks', body('POST /v1/jobs', 'application/json', 'Transfer-Encoding: chunked\r\n'), [408], '1\r\n \r\n'),
  kind('a batch', body('POST /v1/jobs/batch')),
  kind('a schedule', body('PUT /v1/schedules/slow')),
  kind('an act without a body', body('POST /v1/jobs/absent/retry'), [408, 404]),
  kind('a callback', body('POST /v1/inbound/lark')),
  kind('a login', body('POST /admin/board/login', form), [408, 403, 413]),
  kind('a body that no route asks for', body('POST /v1/nothing'), [404, 408]),
  kind('a body of GET', body('GET /livez'), [200, 408]),
  kind('a body behind 401', () => body('POST /v1/jobs')('jg_wrong'), [401]),
  kind('a body of the wrong type', body('POST /v1/jobs', 'text/plain'), [415]),
  kind('an import', body('POST /v1/jobs/batch', 'application/x-ndjson', 'Transfer-Encoding: chunked\r\n'), [408], '1\r\n \r\n', {
    limitMs: importLimitMs,
    quick: false,
  }),
  kind('an import that stops', body('POST /v1/jobs/batch', 'application/x-ndjson'), [408], '', { limitMs: importLimitMs, quick: false }),
]

const tryKind = async ({ world, open, tried, check, isQuick }: Attack, { what, begin, drip, limitMs, statuses }: Kind): Promise<number> => {
  const deadlineMs = limitMs + (isQuick ? quickMarginMs : marginMs)
  const ends: SlowEnd[] = await Promise.all(
    Array.from({ length: clients }, () => sendSlowly(open(), begin(world.keys.red.all), drip, deadlineMs)),
  )
  tried(clients)
  check(
    `${what}: still open after ${deadlineMs} ms`,
    ends.every(({ ended }) => ended),
  )
  const wrong = ends.filter(({ ended, status }) => ended && !statuses.includes(status)).map(({ status }) => status)
  check(`${what}: answered ${[...new Set(wrong)].join(', ')}`, wrong.length === 0)
  return Math.max(...ends.map(({ tookMs }) => tookMs))
}

export const slowWriters: Row = {
  id: 'slow-writers',
  title: 'Slow headers and slow bodies of every route',
  matrix: 21,
  quick: true,
  async run(attack) {
    const some = kinds.filter(({ quick }) => quick || !attack.isQuick)
    const longest = await Promise.all(some.map(async (each) => ({ each, tookMs: await tryKind(attack, each) })))
    const worst = (limit: number) => Math.max(0, ...longest.filter(({ each }) => each.limitMs === limit).map(({ tookMs }) => tookMs))
    const imports = attack.isQuick ? '' : `, imports after ${worst(importLimitMs)} ms at most`
    return `ended after ${worst(limitMs)} ms at most${imports}`
  },
}
