// What Tencent Meeting calls when something happened, and how it is answered.

import { Type } from '@sinclair/typebox'
import type { InboundSource } from '../inbound.js'
import { createTencentMeetingCallback, type TencentCallbackSettings, type TencentMeetingCallback } from './callback.js'

/** The vendor sends an event again unless it gets exactly this text. */
const receipt = 'successfully received callback'
const signatureHeaders = ['timestamp', 'nonce', 'signature']
const schema = Type.String()
const toChallengeAnswer = (text: string): string => text

export const tencentInbound: InboundSource<{ readonly callback: TencentCallbackSettings | undefined }, TencentMeetingCallback> = {
  source: 'tencent-meeting',
  variable: 'TENCENT_MEETING_WEBHOOK_TOKEN',
  open: ({ callback }) => callback && createTencentMeetingCallback(callback),
  routes: [
    {
      method: 'GET',
      operationId: 'checkTencentMeetingCallback',
      summary: "Answer Tencent Meeting's URL check",
      description: 'Tencent Meeting calls this when you enter the URL. The response is the decrypted check_str.',
      signatureHeaders,
      querystring: Type.Object({ check_str: Type.String({ minLength: 1, maxLength: 4096, description: 'Encrypted text.' }) }),
      answer: { description: 'The decrypted text.', schema },
      // Base64 has no blanks: a vendor that leaves + unencoded in the query means +.
      read: (callback, { headers, query }) => callback.check({ headers, checkStr: (query['check_str'] as string).replaceAll(' ', '+') }),
      receipt,
      toChallengeAnswer,
    },
    {
      method: 'POST',
      operationId: 'receiveTencentMeetingEvent',
      summary: 'Receive a Tencent Meeting event',
      description: 'Stores a verified event as a process-webhook job, once per event, and then acknowledges it.',
      signatureHeaders,
      sealed: { member: 'data', description: 'The encrypted event, in base64.' },
      answer: { description: `Always \`${receipt}\`. The event is stored.`, schema },
      read: (callback, request) => callback.read(request),
      receipt,
      toChallengeAnswer,
    },
  ],
}
