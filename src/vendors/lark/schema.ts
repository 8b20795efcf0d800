// Shapes of job data about Lark Bitable tables.

import { type Static, Type } from '@sinclair/typebox'
import { isTooDeepValue } from '../../runtime/json-depth.js'
import type { FieldProblem } from '../../types/field-problems.js'
import { VendorId } from '../schema.js'

const columnDepthMax = 5

export const AppToken = Type.String({ ...VendorId, description: 'Token of the Base, from its URL; not the app ID.' })
export const TableId = Type.String({ ...VendorId, description: 'ID of the table.' })
export const RecordId = Type.String({ ...VendorId, description: 'ID of the record.' })

/** Column name → value. */
export const LarkFields = Type.Record(Type.String({ pattern: '^[^\\u0000-\\u001f\\u007f]{1,100}$' }), Type.Unknown(), {
  minProperties: 1,
  maxProperties: 200,
  additionalProperties: false,
  description: 'Values by column name, in the format that Lark requires for the column type; at most 5 levels deep.',
})
export type LarkFields = Static<typeof LarkFields>

/** Nothing deeper than Lark's columns are. */
export const fieldsProblems = (pointer: string, fields: LarkFields): FieldProblem[] =>
  isTooDeepValue(fields, columnDepthMax + 1) ? [{ pointer, detail: `is nested deeper than ${columnDepthMax} levels` }] : []
