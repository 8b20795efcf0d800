// Job type: writes records to a table of Lark (Feishu) Bitable.

import { type Static, Type } from '@sinclair/typebox'
import { type AttemptMarker, done } from '../../types/definition.js'
import { closed, StringEnum } from '../../types/schema-parts.js'
import { TaggedUnion } from '../../types/tagged-union.js'
import type { LarkOutcome } from '../../vendors/lark/job-errors.js'
import type { Lark, LarkCall } from '../../vendors/lark/lark.js'
import { AppToken, fieldsProblems, LarkFields, RecordId, TableId } from '../../vendors/lark/schema.js'
import { toFailedAttempt } from '../../vendors/outcome.js'
import { defineBuiltin } from '../define.js'

const table = { appToken: AppToken, tableId: TableId }
const Created = Type.Object({ fields: LarkFields }, closed)
const Updated = Type.Object({ recordId: RecordId, fields: LarkFields }, closed)
const batch = { minItems: 1, maxItems: 10_000 } as const

const SyncLarkBitableData = TaggedUnion(
  'action',
  [
    Type.Object({ action: Type.Literal('create'), ...table, fields: LarkFields }, { ...closed, description: 'Adds one record.' }),
    Type.Object(
      { action: Type.Literal('update'), ...table, recordId: RecordId, fields: LarkFields },
      { ...closed, description: 'Updates the given columns of one record.' },
    ),
    Type.Object({ action: Type.Literal('delete'), ...table, recordId: RecordId }, { ...closed, description: 'Deletes one record.' }),
    Type.Object(
      { action: Type.Literal('batch-create'), ...table, records: Type.Array(Created, batch) },
      { ...closed, description: 'Adds up to 10,000 records, in requests of 1,000.' },
    ),
    Type.Object(
      { action: Type.Literal('batch-update'), ...table, records: Type.Array(Updated, batch) },
      { ...closed, description: 'Updates the given columns of up to 10,000 records, in requests of 1,000.' },
    ),
  ],
  'Which records to change and how, depending on `action`.',
)
type SyncLarkBitableData = Static<typeof SyncLarkBitableData>

const SyncLarkBitableResult = Type.Object(
  {
    status: StringEnum(['created', 'updated', 'deleted']),
    count: Type.Integer({ minimum: 1, description: 'Number of records written.' }),
    recordId: Type.Optional(Type.String({ description: 'ID of the record, if there was only one.' })),
    recordIds: Type.Optional(Type.Array(Type.String(), { description: 'IDs of a batch, in the order of `records`.' })),
  },
  closed,
)
type Status = Static<typeof SyncLarkBitableResult>['status']

const statuses = {
  create: 'created',
  update: 'updated',
  delete: 'deleted',
  'batch-create': 'created',
  'batch-update': 'updated',
} as const satisfies Record<SyncLarkBitableData['action'], Status>

/** Writes records; creates happen once per job, however often it is tried. Jobs on one table take turns. */
export const syncLarkBitable = defineBuiltin({
  name: 'sync-lark-bitable',
  queue: 'external-api',
  description:
    'Creates, updates or deletes records in a Lark (Feishu) Bitable table, one at a time or in batches. Jobs for one table take turns.',
  data: SyncLarkBitableData,
  result: SyncLarkBitableResult,
  example: { action: 'create', appToken: 'bascnExampleToken', tableId: 'tblExample', fields: { Title: 'Weekly review', Attendees: 7 } },
  defaults: { attempts: 3, backoff: { type: 'exponential', delayMs: 5000 }, priority: 'normal', timeoutMs: 60_000 },
  requires: ['lark'],
  check(data) {
    if ('fields' in data) return fieldsProblems('#/data/fields', data.fields)
    if (!('records' in data)) return []
    return data.records.flatMap(({ fields }, index) => fieldsProblems(`#/data/records/${index}/fields`, fields))
  },
  async run(data, ctx) {
    const written = await write(data, ctx.integrations.lark, { reference: ctx.jobId, signal: ctx.signal }, ctx.marker)
    if (written.kind !== 'done') return toFailedAttempt(written)
    const { value } = written
    const status = statuses[data.action]
    return done(typeof value === 'string' ? { status, count: 1, recordId: value } : { status, count: value.length, recordIds: value })
  },
})

const write = async (
  data: SyncLarkBitableData,
  lark: Lark,
  call: LarkCall,
  marker: AttemptMarker,
): Promise<LarkOutcome<string> | LarkOutcome<string[]>> => {
  switch (data.action) {
    case 'create':
      return lark.create(data, data.fields, call)
    case 'update':
      return lark.update(data, data.recordId, data.fields, call)
    case 'batch-create':
      return lark.batchCreate(data, data.records, call)
    case 'batch-update':
      return lark.batchUpdate(data, data.records, call)
    case 'delete': {
      // Only the mark tells a record that an earlier attempt deleted from one that never was.
      const isRepeated = (await marker.read()).state !== 'none'
      const begin = async () => {
        if (!isRepeated) await marker.begin()
      }
      const deleted = await lark.delete(data, data.recordId, { ...call, isRepeated, begin })
      if (!isRepeated && (deleted.kind === 'refused' || deleted.kind === 'wait')) await marker.clear()
      return deleted
    }
  }
}
