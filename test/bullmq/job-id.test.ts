import t from 'tap'
import {
  childIndex,
  childJobId,
  followUpJobId,
  mintJobId,
  partitionOfJobId,
  queueOfJobId,
  scheduledJobId,
} from '../../src/bullmq/job-id.js'
import { JobId } from '../../src/types/job-schema.js'
import { builtinQueues } from '../../src/types/queue-name.js'
import { createOwnValidator } from '../../src/types/validator.js'

t.test('a minted id carries its queue, and no two are equal', async (t) => {
  for (const queue of [...builtinQueues, 'resize-image']) {
    const ids = Array.from({ length: 2000 }, () => mintJobId(queue))
    t.equal(new Set(ids).size, ids.length)
    for (const id of ids) {
      if (!/^[a-z-]+_[A-Za-z0-9_-]{22}$/.test(id) || queueOfJobId(id) !== queue) t.fail(id)
    }
  }
})

t.test('ids of built-in queues begin as they always did, all others with the name of their queue', async (t) => {
  t.match(mintJobId('email'), /^mail_/)
  t.match(mintJobId('meeting'), /^meet_/)
  t.match(mintJobId('external-api'), /^ext_/)
  const longest = `q${'a-1'.repeat(20)}zz`
  t.equal(longest.length, 63)
  const isJobId = createOwnValidator(JobId)
  for (const queue of ['q1', 'resize-image', longest]) {
    const id = mintJobId(queue, { number: 1295 })
    t.ok(id.startsWith(`${queue}_`))
    for (const each of [id, childJobId(id, 999), followUpJobId(id, 3, queue), scheduledJobId('k', 1, 2, queue, { number: 35 })]) {
      t.equal(queueOfJobId(each), queue, each)
      t.ok(isJobId(each), each)
    }
    t.equal(partitionOfJobId(childJobId(id, 999)), 1295)
  }
})

t.test('children are numbered under their parent', async (t) => {
  const parent = mintJobId('email')
  for (const index of [0, 9, 35, 36, 999]) {
    const id = childJobId(parent, index)
    t.equal(childIndex(id), index)
    t.equal(queueOfJobId(id), 'email')
  }
})

t.test('what a client made up is no id', async (t) => {
  for (const id of [
    '',
    'wait',
    'meta',
    'events',
    'mail_',
    'mail_short',
    'n_3q2AMb1cT7mR0wZk9vYxFg',
    'email_3q2AMb1cT7mR0wZk9vYxFg',
    'Nope_3q2AMb1cT7mR0wZk9vYxFg',
    `${'a'.repeat(64)}_3q2AMb1cT7mR0wZk9vYxFg`,
    'mail_3q2AMb1cT7mR0wZk9vYx:g',
    `mail_${'a'.repeat(49)}`,
    'mail_3q2AMb1cT7mR0wZk9vYxF\n',
    '__proto___3q2AMb1cT7mR0wZk9vYxFg',
  ]) {
    t.equal(queueOfJobId(id), undefined, JSON.stringify(id))
  }
})
