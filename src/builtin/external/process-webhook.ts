// Job type: processes a vendor event that the inbound routes have stored.

import { type Static, Type } from '@sinclair/typebox'
import { isTooDeepValue } from '../../runtime/json-depth.js'
import { done, fail } from '../../types/definition.js'
import { closed, Line, StringEnum, Time } from '../../types/schema-parts.js'
import { defineBuiltin } from '../define.js'

const payloadBytesMax = 256 * 1024
const payloadDepthMax = 20

const ProcessWebhookData = Type.Object(
  {
    source: StringEnum(['tencent-meeting', 'lark', 'other'], { description: 'Sender of the event.' }),
    eventId: Line(128, { description: "The vendor's ID of the event." }),
    eventType: Line(128, { description: "The vendor's name for the event." }),
    payload: Type.Record(Type.String({ maxLength: 256 }), Type.Unknown(), {
      maxProperties: 1000,
      description: 'The event as the vendor sent it; at most 256 KiB of JSON, 20 levels deep.',
    }),
    receivedAt: Type.Optional(Time({ description: 'When the event arrived.' })),
  },
  closed,
)
type ProcessWebhookData = Static<typeof ProcessWebhookData>

/** What the inbound routes store. `verified` is not part of the public schema, so no client can claim it. */
export interface VerifiedWebhook extends ProcessWebhookData {
  readonly verified: true
}

const ProcessWebhookResult = Type.Object(
  {
    eventType: Type.String(),
    handled: Type.Boolean({ description: 'Whether the event had any effect.' }),
    verified: Type.Boolean({
      description: "Whether the vendor's signature was verified when the event arrived. False for events submitted by clients.",
    }),
    followUps: Type.Array(Type.String(), { description: 'IDs of jobs created for the event.' }),
  },
  closed,
)

/** Where each vendor says once more, inside the payload, what happened. */
const namesOfEvents: Readonly<Record<ProcessWebhookData['source'], (payload: ProcessWebhookData['payload']) => unknown>> = {
  'tencent-meeting': ({ event }) => event,
  lark: ({ header }) => (typeof header === 'object' && header !== null ? (header as Record<string, unknown>)['event_type'] : undefined),
  other: () => undefined,
}

/** Whether the payload says the same as `eventType`, where its vendor says it. */
const isOfKnownForm = ({ source, eventType, payload }: Pick<ProcessWebhookData, 'source' | 'eventType' | 'payload'>): boolean =>
  source === 'other' || namesOfEvents[source](payload) === eventType

/** Calls no vendor and changes nothing outside; an event of an unknown form is refused permanently. */
export const processWebhook = defineBuiltin({
  name: 'process-webhook',
  queue: 'external-api',
  description:
    'Processes a vendor event. Jobgate submits this job for events that arrive at /v1/inbound; clients can submit it for others.',
  data: ProcessWebhookData,
  result: ProcessWebhookResult,
  example: { source: 'other', eventId: 'evt-1', eventType: 'recording.completed', payload: { recording: 'rec-1' } },
  defaults: { attempts: 2, backoff: { type: 'fixed', delayMs: 2000 }, priority: 'normal', timeoutMs: 30_000 },
  requires: [],
  check: ({ source, eventType, payload }) => [
    ...(isOfKnownForm({ source, eventType, payload })
      ? []
      : [{ pointer: '#/data/eventType', detail: `does not match the payload of an event from ${source}` }]),
    ...(isTooDeepValue(payload, payloadDepthMax)
      ? [{ pointer: '#/data/payload', detail: `is nested deeper than ${payloadDepthMax} levels` }]
      : []),
    ...(Buffer.byteLength(JSON.stringify(payload)) > payloadBytesMax
      ? [{ pointer: '#/data/payload', detail: 'must be at most 256 KiB of JSON' }]
      : []),
  ],
  async run(data, ctx) {
    const { source, eventType } = data
    if (!isOfKnownForm(data)) {
      return fail('invalid_data', `The payload is not a known event format from ${source}.`)
    }
    const verified = (data as Partial<VerifiedWebhook>).verified === true
    ctx.log(`Processed an event from ${source}${verified ? ', signature verified' : ', unverified'}; no follow-up is defined for it.`)
    return done({ eventType, handled: false, verified, followUps: [] })
  },
})
