import t from 'tap'
import { childIndex, childJobId, mintJobId, queueOfJobId } from '../../src/bullmq/job-id.js'
import { queueNames } from '../../src/types/job-schema.js'

t.test('a minted id carries its queue, and no two are equal', async (t) => {
  for (const queue of queueNames) {
    const ids = Array.from({ length: 2000 }, () => mintJobId(queue))
    t.equal(new Set(ids).size, ids.length)
    for (const id of ids) {
      if (!/^[a-z]{1,4}_[A-Za-z0-9_-]{22}$/.test(id) || queueOfJobId(id) !== queue) t.fail(id)
    }
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
    'nope_3q2AMb1cT7mR0wZk9vYxFg',
    'mail_3q2AMb1cT7mR0wZk9vYx:g',
    `mail_${'a'.repeat(49)}`,
    'mail_3q2AMb1cT7mR0wZk9vYxF\n',
    '__proto___3q2AMb1cT7mR0wZk9vYxFg',
  ]) {
    t.equal(queueOfJobId(id), undefined, JSON.stringify(id))
  }
})
