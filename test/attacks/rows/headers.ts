// Row 28: line breaks in everything that could become a header of an answer: none of them begins a header of its own.

import type { Attack, Row } from '../row.js'
import { plainJob, submitDelayed } from '../submit.js'

const breaks = [
  '\r\nX-Injected: 1',
  '\nX-Injected: 1',
  '\rX-Injected: 1',
  '\u2028X-Injected: 1',
  '\u0085X-Injected: 1',
  '\r\n\r\n<script>',
  '\0X-Injected: 1',
  '\tX-Injected: 1',
]
const encoded = (text: string) => [encodeURIComponent(text), encodeURIComponent(encodeURIComponent(text))]

/** Ours are ASCII on one line; what is injected would be seen. */
const isClean = (headers: Readonly<Record<string, string | string[] | undefined>>): boolean =>
  headers['x-injected'] === undefined &&
  Object.entries(headers).every(([, value]) =>
    [value ?? ''].flat().every((each) => /^[\x20-\x7e]*$/.test(each) && !each.includes('X-Injected: 1')),
  )

/** Members of bodies. */
const inBodies = async ({ client, world, tried, check }: Attack) => {
  const key = world.keys.red.all
  for (const text of breaks) {
    const bodies = [
      { correlationId: `c${text}` },
      { userId: `u${text}` },
      { metadata: { m: `v${text}` } },
      { type: `process-webhook${text}` },
      { data: { source: 'other', eventId: `e${text}`, eventType: 'x', payload: { [`p${text}`]: text } } },
    ]
    for (const body of bodies) {
      tried()
      const answer = await client.send({ method: 'POST', path: '/v1/jobs', key, body: { ...plainJob('h'), ...body } })
      check(`${JSON.stringify(body)}: ${answer.status}`, answer.status < 500 && isClean(answer.headers))
    }
    const batch = await client.send({
      method: 'POST',
      path: '/v1/jobs/batch',
      key,
      body: { items: [{ ...plainJob('b'), idempotencyKey: `k${text}` }] },
    })
    check(`a key ${JSON.stringify(text)} in a batch: ${batch.status}`, batch.status < 500 && isClean(batch.headers))
    tried()
  }
}

/** Parts of addresses: some come back in `Location`, `Link` or the document of a problem. */
const inAddresses = async ({ client, world, tried, check }: Attack) => {
  for (const text of breaks.flatMap(encoded)) {
    const paths = [
      `/v1/jobs?correlationId=${text}`,
      `/v1/jobs?userId=u${text}&limit=1`,
      `/v1/jobs?type=${text}&limit=1`,
      `/v1/jobs?cursor=${text}`,
      `/v1/jobs/${text}`,
      `/v1/schedules/${text}`,
      `/v1/${text}`,
      `/docs/${text}`,
      `/docs?${text}`,
      `/admin/board/${text}`,
      `/admin/board?to=${text}`,
      `/problems/${text}`,
    ]
    for (const path of paths) {
      tried()
      const answer = await client.send({ path, key: world.keys.admin })
      check(`${path}: ${answer.status}`, answer.status < 500 && isClean(answer.headers))
    }
  }
}

/** Headers themselves, as bytes: what is no header at all, and what is echoed. */
const inHeaders = async (attack: Attack) => {
  const { open, world, tried, check } = attack
  const id = await submitDelayed(attack, world.keys.red.all, 'headers')
  const names = [
    'X-Request-Id',
    'Idempotency-Key',
    'Prefer',
    'If-None-Match',
    'Last-Event-ID',
    'traceparent',
    'tracestate',
    'Accept',
    'X-Forwarded-Proto',
    'X-Forwarded-Host',
    'Referer',
    'Origin',
    'Cookie',
    'User-Agent',
  ]
  const values = [
    'a\x1b[31mb',
    'a\x7fb',
    'a\x0bb',
    '\u00e9',
    '\xff\xfe',
    'a\tX-Injected: 1',
    'a,\x01',
    'b'.repeat(9000),
    '"\\r\\nX-Injected: 1"',
    '%0d%0aX-Injected:%201',
    '<script>alert(1)</script>',
  ]
  const routes = [`GET /v1/jobs/${id}`, 'POST /v1/jobs', 'GET /v1/nothing', 'GET /admin/board', 'GET /docs']
  for (const name of names) {
    for (const value of values) {
      for (const route of routes) {
        tried()
        const wire = open()
        const body = route.startsWith('POST') ? '{}' : ''
        const head = `${route} HTTP/1.1\r\nHost: gateway\r\nAuthorization: Bearer ${world.keys.red.all}\r\n${name}: ${value}\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\nConnection: close\r\n\r\n${body}`
        wire.send(Buffer.from(head, 'latin1'))
        const answer = await wire.next()
        wire.close()
        const what = `${route.replace(id, '{id}')} with ${name}: ${JSON.stringify(value.slice(0, 40))}`
        check(`${what}: ${answer?.status ?? 'no answer'}`, answer !== null && answer.status < 500 && isClean(answer.headers))
      }
    }
  }
}

export const headersRow: Row = {
  id: 'headers',
  title: 'Header injection through bodies, addresses and headers',
  matrix: 28,
  quick: true,
  async run(attack) {
    await inBodies(attack)
    await inAddresses(attack)
    await inHeaders(attack)
    return '0 headers injected'
  },
}
