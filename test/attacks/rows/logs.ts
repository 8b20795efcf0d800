// Row 28: tries to write log lines of its own, at the level that logs most: every line stays one JSON object, and says what was logged.

import type { Attack, Row } from '../row.js'
import { plainJob, submitAndFinish } from '../submit.js'

const forgery = '{"level":"fatal","msg":"forged"}'
const texts = [
  `\n${forgery}\n`,
  `\r\n${forgery}\r\n`,
  `"}\n${forgery}`,
  '\x1b[2J\x1b[31mred\x1b[0m',
  '\x9b31m',
  '\u2028forged\u2029',
  '\u202eforged',
  '","level":"fatal","msg":"forged","x":"',
  '%s %d %j %o',
  ['$', '{jndi:ldap://127.0.0.1/a}'].join(''),
  '\0',
]
const agent = (text: string) => text.replace(/[\0\r\n]/g, ' ')

const tryText = async ({ client, open, world, tried }: Attack, text: string) => {
  const key = world.keys.red.all
  const quoted = encodeURIComponent(text)
  const wanted = [
    { path: `/v1/jobs/${quoted}`, key },
    { path: `/v1/jobs?type=${quoted}`, key },
    { path: `/${quoted}?${quoted}`, key },
    { path: `/docs/static/${quoted}` },
    { path: `/admin/board/api/queues?activeQueue=${quoted}`, key: world.keys.admin },
    { method: 'POST', path: '/v1/jobs', key, body: `{"type":"${text}`, headers: { 'content-type': 'application/json' } },
    { method: 'POST', path: '/v1/jobs', key, body: { ...plainJob('l'), type: text } },
    { method: 'POST', path: '/v1/jobs', key, body: { ...plainJob('l'), userId: text, [text]: 1 } },
    {
      method: 'POST',
      path: '/v1/jobs',
      key,
      body: { type: 'process-webhook', data: { source: 'lark', eventId: 'l', eventType: text, payload: { [text]: text } } },
    },
    { method: 'PUT', path: `/v1/schedules/${quoted}`, key, body: { ...plainJob('l'), cron: text, timezone: text } },
    { method: 'POST', path: '/admin/api-keys', key: world.keys.admin, body: { name: text, scopes: [text], tenant: text } },
    { method: 'POST', path: '/v1/inbound/lark', body: { encrypt: text } },
  ] as const
  for (const each of wanted) {
    tried()
    await client.send(each)
  }
  for (const header of ['User-Agent', 'X-Request-Id', 'traceparent', 'tracestate', 'Idempotency-Key', 'Referer', 'Authorization']) {
    tried()
    const wire = open()
    wire.send(Buffer.from(`GET /v1/jobs/x HTTP/1.1\r\nHost: gateway\r\n${header}: ${agent(text)}\r\nConnection: close\r\n\r\n`, 'utf8'))
    await wire.rest()
  }
}

/** What a job carries to its worker is logged there. */
const throughJobs = async (attack: Attack) => {
  const key = attack.world.keys.red.all
  for (const text of ['\u001b[31m', '\u2028', '\u009b', '%s']) {
    const data = { source: 'other', eventId: `l-${text.length}`, eventType: 'log', payload: { text } }
    attack.tried()
    await submitAndFinish(attack, key, { type: 'process-webhook', data, metadata: { text } })
  }
}

export const logs: Row = {
  id: 'logs',
  title: 'Log injection: line breaks, escapes, JSON and bidirectional marks',
  matrix: 28,
  quick: true,
  gateway: { env: { LOG_LEVEL: 'trace' } },
  async run(attack) {
    const { world } = attack
    const before = world.log.lines()
    for (const text of texts) await tryText(attack, text)
    await throughJobs(attack)
    attack.check(`${world.log.forged()} lines were forged`, world.log.forged() === 0)
    return `${world.log.lines() - before} lines, each one JSON object`
  },
}
