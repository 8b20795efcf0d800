// A job type whose handler does nothing: what is left is the way there and back.

import { Type } from '@sinclair/typebox'
import { defineJobType, done } from '../dist/types/definition.js'

export const noop = defineJobType({
  name: 'noop',
  queue: 'external-api',
  description: 'Does nothing.',
  data: Type.Object({ n: Type.Integer({ minimum: 0 }) }, { additionalProperties: false }),
  result: Type.Null(),
  example: { n: 1 },
  defaults: { attempts: 1, priority: 'normal', timeoutMs: 60_000 },
  requires: [],
  run: async () => done(null),
})
