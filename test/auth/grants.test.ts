// Scopes and grants of a principal.

import t from 'tap'
import { firstPrincipal } from '../../src/auth/first-key.js'
import { findUngranted, hasScope, type JobKind, maySee, type Principal, scopes } from '../../src/auth/grants.js'

const principal = (members: Partial<Principal>): Principal => ({ ...firstPrincipal, scopes: new Set(), ...members })

t.test('a scope allows itself and nothing else', async (t) => {
  const reader = principal({ scopes: new Set(['jobs:read']) })
  t.equal(hasScope(reader, 'jobs:read'), true)
  for (const scope of scopes.filter((each) => each !== 'jobs:read')) t.equal(hasScope(reader, scope), false, scope)
})

t.test('admin implies every scope', async (t) => {
  const admin = principal({ scopes: new Set(['admin']) })
  for (const scope of scopes) t.equal(hasScope(admin, scope), true, scope)
})

t.test('null grants see everything', async (t) => {
  t.equal(maySee(principal({}), { type: 'send-sms', queue: 'external-api', followUps: [] }), true)
  t.equal(maySee(principal({}), { type: 'gone', queue: undefined, followUps: [] }), true)
})

t.test('type and queue have to be granted both', async (t) => {
  const mailer = principal({ types: new Set(['send-sms', 'send-verification-email']), queues: new Set(['email']) })
  t.equal(maySee(mailer, { type: 'send-verification-email', queue: 'email', followUps: [] }), true)
  t.equal(maySee(mailer, { type: 'send-sms', queue: 'external-api', followUps: [] }), false, 'the queue is not granted')
  t.equal(maySee(mailer, { type: 'send-meeting-reminder', queue: 'email', followUps: [] }), false, 'the type is not granted')
  t.equal(maySee(mailer, { type: 'send-sms', queue: undefined, followUps: [] }), false, 'nobody knows the queue')
})

t.test('all that a job brings with it has to be granted', async (t) => {
  const limited = principal({ types: new Set(['a', 'b']) })
  const kind = (type: string, ...followUps: JobKind[]): JobKind => ({ type, queue: 'email', followUps })
  t.equal(findUngranted(limited, kind('a', kind('b'), kind('a'))), null)
  t.equal(findUngranted(limited, kind('a', kind('b'), kind('c'))), 'c')
  t.equal(findUngranted(limited, kind('a', kind('b', kind('d')))), 'd', 'at any depth')
  t.equal(findUngranted(limited, kind('c', kind('d'))), 'c', 'its own type first')
})
