// Requests whose end two readers could see in different places: none of them may hide a second one.

import type { WireAnswer } from '../answer-reader.js'
import type { Attack, Row } from '../row.js'
import { type AmbiguousRequest, ambiguousRequests, hiddenId, lastRequest } from './ambiguous-requests.js'

const deadlineMs = 3000
/** 501 is what HTTP says of a transfer coding that nobody knows. */
const isRefusal = (status: number) => (status >= 400 && status < 500) || status === 501 || status === 505

/** Sends it, and a last request of good form behind it, which also ends the connection. */
const attempt = async ({ open, world }: Attack, { bytes }: AmbiguousRequest): Promise<WireAnswer[]> => {
  const wire = open()
  wire.send(Buffer.concat([Buffer.from(bytes(world.keys.red.all), 'latin1'), Buffer.from(lastRequest)]))
  const answers = await wire.rest(deadlineMs)
  wire.close()
  return answers
}

const judge = ({ check }: Attack, { name, expected }: AmbiguousRequest, answers: readonly WireAnswer[]) => {
  const statuses = answers.map(({ status }) => status)
  const said = `${name}: answered ${statuses.join(', ') || 'nothing'}`
  check(
    `${said}; the hidden request was answered`,
    answers.every(({ headers }) => headers['x-request-id'] !== hiddenId),
  )
  check(
    `${said}; a server error`,
    statuses.every((status) => status < 500 || isRefusal(status)),
  )
  const [first, ...others] = answers
  const isRefused = first !== undefined && isRefusal(first.status)
  switch (expected) {
    case 'closed':
      check(`${said} instead of one refusal`, isRefused && others.length === 0)
      return check(`${said}, without a problem document`, first?.headers['content-type'] === 'application/problem+json')
    case 'refused':
      check(`${said} instead of a refusal`, isRefused && others.every(({ status }) => status === 200 || isRefusal(status)))
      return check(`${said}, without a problem document`, first?.headers['content-type'] === 'application/problem+json')
    case 'once':
      return check(`${said}; more than one answer`, others.length === 0)
    default:
      return check(`${said} instead of ${expected.join(', ')}`, JSON.stringify(statuses) === JSON.stringify(expected))
  }
}

export const smuggling: Row = {
  id: 'smuggling',
  title: 'Request smuggling: lengths, codings, line ends, hosts',
  quick: true,
  async run(attack) {
    for (const each of ambiguousRequests) {
      attack.tried()
      judge(attack, each, await attempt(attack, each))
    }
    return `0 of ${ambiguousRequests.length} hid a second request`
  },
}
