// Row 20: JSON that is too deep, too wide, too long, compressed, poisoned or no text at all. Each is refused, and cheaply.

import type { Attack, Row } from '../row.js'
import { jsonBombs } from './json-bomb-bodies.js'

const head = (target: string, key: string, headers: string, length: number) =>
  `${target} HTTP/1.1\r\nHost: gateway\r\nAuthorization: Bearer ${key}\r\n${headers}Content-Length: ${length}\r\n\r\n`

/** Routes that read JSON of clients. */
const targets = ['POST /v1/jobs', 'POST /v1/jobs/batch', 'PUT /v1/schedules/bomb', 'POST /admin/api-keys']
const refusals: ReadonlySet<number> = new Set([400, 413, 415])

const tryBomb = async ({ open, world, tried, check }: Attack, name: string, target: string, body: Buffer, headers: string) => {
  const wire = open()
  wire.send(head(target, world.keys.admin, headers, body.length))
  wire.send(body)
  tried()
  const answer = await wire.next()
  wire.close()
  const what = `${name} to ${target}`
  check(`${what}: ${answer?.status ?? 'no answer'}`, answer !== null && refusals.has(answer.status))
  check(`${what}: no problem document`, answer?.headers['content-type'] === 'application/problem+json')
  check(`${what}: an answer of ${answer?.body.length} characters`, (answer?.body.length ?? 0) <= answerCharsMax)
}

/** Whatever came in: a problem names a bounded number of members, and repeats none of their values. */
const answerCharsMax = 64 * 1024

export const jsonBombRow: Row = {
  id: 'json-bombs',
  title: 'JSON bombs: depth, width, length, compression, poison, bytes that are no text',
  matrix: 20,
  quick: true,
  async run(attack) {
    for (const { name, body, headers = 'Content-Type: application/json\r\n' } of jsonBombs()) {
      for (const target of targets) await tryBomb(attack, name, target, body, headers)
    }
    return `${jsonBombs().length} bodies × ${targets.length} routes refused`
  },
}
