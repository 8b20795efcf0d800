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
      summary: 'Receive a Lark event',
      description:
        'Stores a verified event as a process-webhook job, once per event, and then acknowledges it. Also answers the URL check.',
      signatureHeaders: ['X-Lark-Signature', 'X-Lark-Request-Timestamp', 'X-Lark-Request-Nonce'],
      sealed: { member: 'encrypt', description: 'The encrypted event, in base64.' },
      answer: {
        description: 'Event stored, or URL check answered.',
        schema: Type.Object({ challenge: Type.Optional(Type.String({ description: 'Only for the URL check.' })) }, closed),
      },
      read: (callback, request) => callback.read(request),
      receipt: {},
      toChallengeAnswer: (challenge) => ({ challenge }),
    },
  ],
}
