// Vendors' callbacks that no vendor sent: none of them becomes a job, and what did become one becomes it once.

import { signLarkCallback } from '../../../src/vendors/lark/callback.js'
import { signTencentCallback } from '../../../src/vendors/tencent-meeting/callback.js'
import { encryptLark, encryptTencent } from '../../helpers/vendor-stubs/callbacks.js'
import type { Wanted } from '../client.js'
import type { Attack, Row } from '../row.js'
import { larkSecrets, tencentSecrets } from '../vendor-secrets.js'

const seconds = (offset = 0) => String(Math.floor(Date.now() / 1000) + offset)
const day = 86_400
const nonce = '42'

const larkEvent = (id: string, token = larkSecrets.verificationToken) =>
  JSON.stringify({ schema: '2.0', header: { event_id: id, event_type: 'im.message', token }, event: { text: 'x' } })
const larkBody = (text: string, key = larkSecrets.encryptKey) => JSON.stringify({ encrypt: encryptLark(key, text) })

interface LarkParts {
  readonly body: string
  readonly timestamp?: string
  readonly key?: string
  /** What is signed in place of the body. */
  readonly signed?: string
  readonly headers?: Readonly<Record<string, string>>
}

const lark = ({ body, timestamp = seconds(), key = larkSecrets.encryptKey, signed = body, headers }: LarkParts): Wanted => ({
  method: 'POST',
  path: '/v1/inbound/lark',
  body,
  headers: {
    'content-type': 'application/json',
    'x-lark-signature': signLarkCallback(timestamp, nonce, key, Buffer.from(signed)),
    'x-lark-request-timestamp': timestamp,
    'x-lark-request-nonce': nonce,
    ...headers,
  },
})

const tencentData = (id: string, key = tencentSecrets.encodingAesKey) =>
  encryptTencent(key, JSON.stringify({ event: 'meeting.started', trace_id: id, payload: [] }))

const tencent = (
  data: string,
  { timestamp = seconds(), token = tencentSecrets.token, signed = data, headers = {} as Record<string, string> } = {},
): Wanted => ({
  method: 'POST',
  path: '/v1/inbound/tencent-meeting',
  body: JSON.stringify({ data }),
  headers: {
    'content-type': 'application/json',
    timestamp,
    nonce,
    signature: signTencentCallback(token, timestamp, nonce, signed),
    ...headers,
  },
})

const without = (wanted: Wanted, ...names: string[]): Wanted => ({
  ...wanted,
  headers: Object.fromEntries(Object.entries(wanted.headers ?? {}).filter(([name]) => !names.includes(name))),
})

/** Each would be an event called `forged…` if it were believed. */
const forgeries = (): readonly (readonly [string, Wanted])[] => {
  const body = larkBody(larkEvent('forged-lark'))
  const data = tencentData('forged-tencent')
  const signed = lark({ body })
  const sent = tencent(data)
  return [
    ['Lark: another key', lark({ body, key: 'guessed' })],
    ['Lark: the secret of Tencent', lark({ body, key: tencentSecrets.token })],
    ['Lark: encrypted with another key', lark({ body: larkBody(larkEvent('forged-lark'), 'guessed'), key: 'guessed' })],
    ['Lark: another body signed', lark({ body, signed: `${body} ` })],
    ['Lark: a body changed after it was signed', { ...signed, body: `${body} ` }],
    ['Lark: yesterday', lark({ body, timestamp: seconds(-day) })],
    ['Lark: six minutes ago', lark({ body, timestamp: seconds(-360) })],
    ['Lark: tomorrow', lark({ body, timestamp: seconds(day) })],
    ['Lark: a time that is none', lark({ body, timestamp: 'now' })],
    ['Lark: a time with a sign', lark({ body, timestamp: `+${seconds()}` })],
    ['Lark: no signature', without(signed, 'x-lark-signature')],
    ['Lark: no time', without(signed, 'x-lark-request-timestamp')],
    ['Lark: no nonce', without(signed, 'x-lark-request-nonce')],
    ['Lark: nothing of a signature', without(signed, 'x-lark-signature', 'x-lark-request-timestamp', 'x-lark-request-nonce')],
    ['Lark: an empty signature', { ...signed, headers: { ...signed.headers, 'x-lark-signature': '' } }],
    [
      'Lark: half a signature',
      { ...signed, headers: { ...signed.headers, 'x-lark-signature': signed.headers?.['x-lark-signature']?.slice(0, 32) as string } },
    ],
    ['Lark: a very long signature', { ...signed, headers: { ...signed.headers, 'x-lark-signature': 'a'.repeat(8000) } }],
    ['Lark: another token inside', lark({ body: larkBody(larkEvent('forged-lark', 'guessed')) })],
    // Signed as they should be, and yet no events.
    ['Lark: not encrypted, of no known form', lark({ body: larkEvent('forged-lark') })],
    ['Lark: the body of Tencent, of no known form', lark({ body: JSON.stringify({ data }) })],
    ['Tencent: another token', tencent(data, { token: 'guessed' })],
    ['Tencent: the secret of Lark', tencent(data, { token: larkSecrets.verificationToken })],
    ['Tencent: other data signed', tencent(data, { signed: `${data}=` })],
    ['Tencent: twenty minutes ago', tencent(data, { timestamp: seconds(-1200) })],
    ['Tencent: tomorrow', tencent(data, { timestamp: seconds(day) })],
    ['Tencent: no signature', without(sent, 'signature')],
    ['Tencent: no time', without(sent, 'timestamp')],
    ['Tencent: no nonce', without(sent, 'nonce')],
    [
      'Tencent: the signature of Lark',
      { ...sent, headers: { ...sent.headers, signature: signed.headers?.['x-lark-signature'] as string } },
    ],
    // The four texts are sorted before they are joined: parts must not be movable from one to another.
    ['Tencent: nonce and time glued together', tencent(data, { headers: { nonce: '', timestamp: `${seconds()}${nonce}` } })],
    ['Tencent: sent to Lark', { ...sent, path: '/v1/inbound/lark' }],
    ['Lark: sent to Tencent', { ...signed, path: '/v1/inbound/tencent-meeting' }],
    [
      'Tencent: a check of the address, unsigned, of no known form',
      { path: `/v1/inbound/tencent-meeting?check_str=${encodeURIComponent(data)}` },
    ],
  ]
}

/** The events that became jobs, of those whose id begins like this. */
const storedEvents = async ({ client, world }: Attack, prefix: string): Promise<string[]> => {
  const { json } = await client.send({ path: '/v1/jobs?type=process-webhook&limit=200', key: world.keys.admin })
  return (json.items as { data: { eventId: string } }[]).map(({ data }) => data.eventId).filter((id) => id.startsWith(prefix))
}

export const callbacks: Row = {
  id: 'callbacks',
  title: "Forged, altered, late and replayed vendors' callbacks",
  quick: true,
  async run(attack) {
    const { client, check, tried } = attack
    for (const [name, wanted] of forgeries()) {
      tried()
      const { status } = await client.send(wanted)
      check(`${name}: ${status}`, status === 403 || (status === 400 && name.endsWith('of no known form')))
    }
    const forged = await storedEvents(attack, 'forged')
    check(`${forged.join(', ')} became jobs`, forged.length === 0)

    const genuine = [lark({ body: larkBody(larkEvent('genuine-lark')) }), tencent(tencentData('genuine-tencent'))]
    const replays = genuine.flatMap((each) => Array.from({ length: 10 }, () => each))
    const answers = await Promise.all(replays.map((each) => client.send(each)))
    tried(replays.length)
    check(
      `replays got ${[...new Set(answers.map(({ status }) => status))].join(', ')}`,
      answers.every(({ status }) => status === 200),
    )
    const stored = await storedEvents(attack, 'genuine')
    check(`replays became ${stored.length} jobs`, stored.length === genuine.length)
    return `${forgeries().length} refused; ${replays.length} replays of ${genuine.length} events became ${stored.length} jobs`
  },
}
