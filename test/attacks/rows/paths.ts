// Addresses that mean one thing to whoever checks them and another to whoever serves them.

import type { WireAnswer } from '../answer-reader.js'
import type { Attack, Row } from '../row.js'

const up = [
  '../',
  '..%2f',
  '%2e%2e/',
  '%2e%2e%2f',
  '%252e%252e%252f',
  '..%5c',
  '..\\',
  '%c0%ae%c0%ae/',
  '%e0%80%ae%e0%80%ae/',
  '..;/',
  '..%00/',
  '.%2e/',
  '..%u2215',
  '%uff0e%uff0e/',
  '..%ef%bc%8f',
]
const files = ['package.json', 'etc/passwd', 'proc/self/environ']
const roots = ['/docs/static/', '/docs/', '/admin/board/static/', '/problems/', '/v1/jobs/', '/']

const climbs = roots.flatMap((root) => up.flatMap((step) => files.map((file) => `${root}${step.repeat(8)}${file}`)))

/** Ways to write an operator's address that a check of its text would miss. */
const disguises = [
  '//admin/api-keys',
  '/./admin/api-keys',
  '/v1/../admin/api-keys',
  '/v1/%2e%2e/admin/api-keys',
  '/docs/static/..%2f..%2fadmin/api-keys',
  '/docs/..;/admin/api-keys',
  '/livez/../admin/api-keys',
  '/admin;/api-keys',
  '/admin/api-keys;x=/docs',
  '/admin/api-keys/',
  '/admin//api-keys',
  '/admin/./api-keys',
  '/admin%2fapi-keys',
  '/%61dmin/api-keys',
  '/%2561dmin/api-keys',
  '/ADMIN/api-keys',
  '/Admin/Api-Keys',
  '\\admin\\api-keys',
  '/admin\\api-keys',
  '/admin/api-keys%00',
  '/admin/api-keys%20',
  '/admin/api-keys%0d%0a',
  '/admin/api-keys?/docs/static/x.css',
  '/admin/api-keys#/docs',
  '/admin/api-keys.json',
  '/\uff41dmin/api-keys',
  '/admin/board',
  '/admin/board/',
  '//admin/board',
  '/admin/board/static/../api/queues',
  '/admin/board/static/..%2fapi/queues',
  '/admin/board/static/%2e%2e/api/queues',
  '/admin/board/api/queues',
  '/admin/board/api/queues/',
  '/admin/board/login/../api/queues',
  '/admin/board/queue/email',
  '/admin/board/%2e%2e/api-keys',
  '/ADMIN/board/api/queues',
  'http://gateway/admin/api-keys',
  'http://other/admin/api-keys',
]

const lengthsOfPaths = [600, 4000, 15_000, 100_000]
const marks = /root:x:0|"name": ?"jobgate"|PATH=|DATA_DIR=/

const ask = async ({ open, tried }: Attack, target: string, key?: string): Promise<WireAnswer | null> => {
  const wire = open()
  const authorization = key === undefined ? '' : `Authorization: Bearer ${key}\r\n`
  wire.send(Buffer.from(`GET ${target} HTTP/1.1\r\nHost: gateway\r\n${authorization}Connection: close\r\n\r\n`, 'utf8'))
  tried()
  const answer = await wire.next()
  wire.close()
  return answer
}

const judge = ({ check }: Attack, target: string, answer: WireAnswer | null) => {
  const what = target.slice(0, 100)
  check(`${what}: no answer`, answer !== null)
  check(`${what}: ${answer?.status}`, (answer?.status ?? 0) < 500)
  check(`${what}: shows a file`, !marks.test(answer?.body ?? ''))
}

/** Pages for people that anyone may see. */
const isPage = (answer: WireAnswer | null) => String(answer?.headers['content-type']).startsWith('text/html')

export const paths: Row = {
  id: 'paths',
  title: 'Path tricks: encoded slashes, dot segments, NUL, overlong forms, other spellings',
  quick: true,
  async run(attack) {
    const { check, world } = attack
    for (const target of climbs) judge(attack, target, await ask(attack, target, world.keys.red.all))
    for (const length of lengthsOfPaths) {
      const answer = await ask(attack, `/${'a'.repeat(length)}`)
      judge(attack, `a path of ${length}`, answer)
      check(`a path of ${length}: ${answer?.status}`, answer?.status === (length < 16_000 ? 404 : 431))
    }
    for (const target of disguises) {
      for (const key of [undefined, world.keys.red.all]) {
        const answer = await ask(attack, target, key)
        judge(attack, target, answer)
        const status = answer?.status ?? 0
        check(
          `${target} ${key ? 'with a key of no operator' : 'without a key'}: ${status}`,
          status >= 400 && (status < 500 || isPage(answer)),
        )
      }
    }
    return `${climbs.length} climbs, ${disguises.length} disguises`
  },
}
