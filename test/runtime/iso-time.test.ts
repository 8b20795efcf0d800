import fc from 'fast-check'
import t from 'tap'
import { toIsoTime } from '../../src/runtime/iso-time.js'

t.test('times are written as Date writes them', async () => {
  const anyTime = fc.integer({ min: -62_167_219_200_000, max: 253_402_300_799_999 })
  const nearMidnight = fc
    .tuple(fc.integer({ min: 0, max: 40_000 }), fc.integer({ min: -2, max: 2 }))
    .map(([days, ms]) => days * 86_400_000 + ms)
  fc.assert(
    fc.property(
      fc.oneof(anyTime, nearMidnight, fc.double({ min: -1e12, max: 1e13, noNaN: true })),
      (ms) => toIsoTime(ms) === new Date(ms).toISOString(),
    ),
  )
})
