// What Lark calls when something happened, and how it is answered.

import { Type } from '@sinclair/typebox'
import { closed } from '../../types/schema-parts.js'
import type { InboundSource } from '../inbound.js'
import { createLarkCallback, type LarkCallback, type LarkCallbackSettings } from './callback.js'

export const larkInbound: InboundSource<{ readonly callback: LarkCallbackSettings | undefined }, LarkCallback> = {
  source: 'lark',
  variable: 'LARK_ENCRYPT_KEY',
  open: ({ callback }) => callback && createLarkCallback(callback),
  routes: [
    {
      method: 'POST',
      operationId: 'receiveLarkEvent',
      summary: 'Take in an event of Lark',
      description:
        'Stores a genuine event as a process-webhook job, once per event, and confirms it afterwards. Answers the address check too.',
      signatureHeaders: ['X-Lark-Signature', 'X-Lark-Request-Timestamp', 'X-Lark-Request-Nonce'],
      sealed: { member: 'encrypt', description: 'The event, encrypted and in base64.' },
      answer: {
        description: 'Taken in.',
        schema: Type.Object({ challenge: Type.Optional(Type.String({ description: 'Only for the address check.' })) }, closed),
      },
      read: (callback, request) => callback.read(request),
      receipt: {},
      toChallengeAnswer: (challenge) => ({ challenge }),
    },
  ],
}
