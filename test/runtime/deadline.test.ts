// Deadlines: what comes in time, or the other thing.

import t from 'tap'
import { withDeadline } from '../../src/runtime/deadline.js'

t.test('gives what comes in time, else the other thing, and leaves no timer', async (t) => {
  t.equal(await withDeadline(Promise.resolve('in time'), 60_000, 'late'), 'in time')
  await t.rejects(withDeadline(Promise.reject(new Error('in time')), 60_000, 'late'), { message: 'in time' })
  t.equal(await withDeadline(new Promise<string>(() => {}), 1, 'late'), 'late')
  t.notOk(process.getActiveResourcesInfo().includes('Timeout'))
})
