// Lease ids: one for each attempt, of one tenant, and nothing else is one.

import fc from 'fast-check'
import t from 'tap'
import { mintJobId } from '../../src/bullmq/job-id.js'
import { leaseIdCharsMax, mintLeaseSlot, parseLeaseId, toLeaseId } from '../../src/leases/lease-id.js'

t.test('an id leads to the job and the lock, for the tenant it was made for', async (t) => {
  for (const queue of ['resize-image', 'a0', 'x'.repeat(63)]) {
    const slot = mintLeaseSlot('acme')
    const id = mintJobId(queue)
    const lease = toLeaseId(id, slot)
    t.match(lease, /^[A-Za-z0-9._-]+$/, 'stands in an address as it is')
    t.ok(lease.length <= leaseIdCharsMax)
    t.same(parseLeaseId('acme', lease), { id, token: slot.token })
    t.equal(parseLeaseId('other', lease), null)
    t.notOk(lease.includes(slot.token), 'what is stored is not what is sent')
  }
  const tokens = new Set(Array.from({ length: 10_000 }, () => mintLeaseSlot('acme').token))
  t.equal(tokens.size, 10_000)
})

t.test('whoever knows the id of another tenant cannot make one of it', async (t) => {
  const slot = mintLeaseSlot('acme')
  const lease = toLeaseId(mintJobId('resize-image'), slot)
  // All that can be made of it: the same random part under the own name, with the tag that goes with that.
  const random = slot.secret.slice(0, 22)
  for (let at = 0; at < 1000; at++) {
    const own = mintLeaseSlot('other')
    const made = parseLeaseId('other', lease.replace(slot.secret, random + own.secret.slice(22)))
    if (made) t.not(made.token, slot.token)
  }
})

t.test('no other text is one', async (t) => {
  const slot = mintLeaseSlot('acme')
  const lease = toLeaseId(mintJobId('resize-image'), slot)
  fc.assert(fc.property(fc.string({ maxLength: 300 }), (text) => parseLeaseId('acme', text) === null))
  fc.assert(
    fc.property(fc.integer({ min: 0, max: lease.length - 1 }), fc.string({ minLength: 1, maxLength: 1 }), (at, char) => {
      if (lease[at] === char) return true
      const changed = parseLeaseId('acme', lease.slice(0, at) + char + lease.slice(at + 1))
      // Another job, or nothing.
      return changed === null || !lease.startsWith(`${changed.id}.`)
    }),
  )
  t.pass()
})
