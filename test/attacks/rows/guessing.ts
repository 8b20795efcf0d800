// Row 22: guesses keys and signatures, under a new X-Forwarded-For each time. The limit by address holds all the same.

import { randomBytes } from 'node:crypto'
import type { WireAnswer } from '../answer-reader.js'
import type { Attack, Row } from '../row.js'

/** RATE_LIMIT_MAX in RATE_LIMIT_WINDOW_MS. */
const limit = 600
const windowMs = 1000
const connections = 4
const perConnection = 500
/** So many may wait on one connection. */
const atOnce = 100
/** A machine that is too busy to send more than the limit in one window tries again. */
const triesMax = 10

interface Guess {
  readonly what: string
  /** What a guess that was looked at answers. */
  readonly refusal: number
  request(count: number): string
}

const forwarded = (count: number) => `X-Forwarded-For: 10.${(count >> 16) & 255}.${(count >> 8) & 255}.${count & 255}\r\n`
const request = (line: string, count: number, more: string, body = '') =>
  `${line} HTTP/1.1\r\nHost: gateway\r\n${forwarded(count)}${more}Content-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`
const bearer = (key: string) => `Authorization: Bearer ${key}\r\n`
const form = 'Content-Type: application/x-www-form-urlencoded\r\nSec-Fetch-Site: same-origin\r\n'
const randomKey = () => `jg_${randomBytes(12).toString('hex').slice(0, 16)}_${randomBytes(32).toString('base64url')}`

const guesses: readonly Guess[] = [
  { what: 'keys of the right form', refusal: 401, request: (n) => request('GET /v1/jobs', n, bearer(randomKey())) },
  { what: 'short keys', refusal: 401, request: (n) => request('GET /v1/jobs', n, bearer(`guess${n}`)) },
  { what: 'no key', refusal: 401, request: (n) => request('GET /admin/api-keys', n, '') },
  { what: 'keys at the dashboard', refusal: 401, request: (n) => request('POST /admin/board/login', n, form, `key=guess-${n}`) },
  {
    what: 'signatures of Lark',
    refusal: 403,
    request: (n) => request('POST /v1/inbound/lark', n, 'Content-Type: application/json\r\n', `{"encrypt":"${n}"}`),
  },
  { what: 'addresses of routes', refusal: 404, request: (n) => request(`GET /v1/hidden/${n}`, n, '') },
]

/** Sends guesses until some are refused for their number. Out: how many were looked at in how many windows. */
const tryGuess = async (attack: Attack, { what, refusal, request }: Guess, from: string) => {
  const { check, open, tried } = attack
  for (let tries = 1; tries <= triesMax; tries++) {
    const start = Date.now()
    const answers = await Promise.all(
      Array.from({ length: connections }, async (_, connection) => {
        const wire = open({ from })
        const got: WireAnswer[] = []
        for (let sent = 0; sent < perConnection; sent += atOnce) {
          wire.send(Array.from({ length: atOnce }, (_, n) => request(connection * perConnection + sent + n)).join(''))
          for (let answer = await wire.next(); answer; answer = await wire.next()) if (got.push(answer) === sent + atOnce) break
        }
        wire.close()
        return got
      }),
    )
    const windows = Math.floor(Date.now() / windowMs) - Math.floor(start / windowMs) + 1
    const all = answers.flat()
    tried(all.length)
    const count = (status: number) => all.filter((answer) => answer.status === status).length
    const [looked, limited] = [count(refusal), count(429)]
    check(
      `${what}: of ${connections * perConnection} answers ${looked} are ${refusal} and ${limited} are 429`,
      looked + limited === connections * perConnection,
    )
    check(`${what}: ${looked} guesses were looked at in ${windows} windows`, looked <= limit * windows)
    check(
      `${what}: a 429 without Retry-After`,
      all.every(({ status, headers }) => status !== 429 || headers['retry-after'] !== undefined),
    )
    if (limited > 0) return { looked, limited }
  }
  check(`${what}: never limited`, false)
  return { looked: 0, limited: 0 }
}

export const guessing: Row = {
  id: 'guessing',
  title: 'Guessing keys, signatures and routes under rotating X-Forwarded-For',
  matrix: 22,
  quick: true,
  async run(attack) {
    const { world, check, client } = attack
    let limited = 0
    let looked = 0
    // An address for each, so that they do not use up one another's limit.
    for (const [index, guess] of guesses.entries()) {
      const found = await tryGuess(attack, guess, `127.0.1.${index + 1}`)
      limited += found.limited
      looked += found.looked
    }
    const { status } = await client.send({ path: '/v1/jobs', key: world.keys.red.read })
    check(`a valid key gets ${status} meanwhile`, status === 200)
    return `${looked} looked at, ${limited} refused with 429`
  },
}
