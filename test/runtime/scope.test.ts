// Scopes: what opened last closes first, whatever fails on the way.

import t from 'tap'
import { closeOnFailure, createScope } from '../../src/runtime/scope.js'

/** A thing to open, and notes of when it was closed. */
const createThings = () => {
  const closed: string[] = []
  return {
    closed,
    thing: (name: string) => ({
      name,
      async close() {
        await Promise.resolve()
        closed.push(name)
      },
    }),
  }
}

t.test('closes in reverse, by the close given or by its own', async (t) => {
  const { closed, thing } = createThings()
  const scope = createScope()
  t.equal((await scope.open('a', () => thing('a'))).name, 'a')
  await scope.open('b', async () => thing('b'))
  await scope.open(
    'c',
    () => 'text',
    (text) => closed.push(`c ${text}`),
  )
  await scope.open('nothing to close', () => undefined)
  scope.defer('d', () => closed.push('d'))
  await scope.close()
  t.same(closed, ['d', 'c text', 'b', 'a'])
})

t.test('closing again, at once or later, closes nothing twice', async (t) => {
  const { closed, thing } = createThings()
  const scope = createScope()
  await scope.open('a', () => thing('a'))
  t.notOk(scope.isClosing())
  const first = scope.close()
  t.ok(scope.isClosing())
  t.equal(scope.close(), first)
  await first
  await scope.close()
  t.same(closed, ['a'])
})

t.test('every close runs, whichever fails', async (t) => {
  const { closed, thing } = createThings()
  const scope = createScope()
  await scope.open('a', () => thing('a'))
  scope.defer('b', async () => {
    throw new Error('b')
  })
  await scope.open('c', () => thing('c'))
  await t.rejects(scope.close(), { message: 'b' })
  t.same(closed, ['c', 'a'])

  const worse = createScope()
  for (const name of ['x', 'y']) {
    worse.defer(name, () => {
      throw new Error(name)
    })
  }
  const error = await worse.close().catch((thrown: AggregateError) => thrown)
  t.match(error, { message: 'y; x', errors: [{ message: 'y' }, { message: 'x' }] })
})

t.test('a start that fails closes what it had opened, and rejects with its error', async (t) => {
  const { closed, thing } = createThings()
  const scope = createScope()
  const start = async () => {
    await scope.open('a', () => thing('a'))
    await scope.open('b', () => thing('b'))
    await scope.open('c', async () => {
      throw new Error('c cannot be opened')
    })
  }
  await t.rejects(closeOnFailure(scope, start), { message: 'c cannot be opened' })
  t.same(closed, ['b', 'a'])
  await t.rejects(
    scope.open('d', () => thing('d')),
    /scope is closing/,
  )
  t.throws(() => scope.defer('e', () => {}), /scope is closing/)
  t.throws(() => scope.child('f'), /scope is closing/)

  t.equal(await closeOnFailure(createScope(), async () => 1), 1)
  const bad = createScope()
  bad.defer('a', () => {
    throw new Error('a cannot be closed')
  })
  const error = await closeOnFailure(bad, () => bad.open('b', () => Promise.reject(new Error('why')))).catch((thrown) => thrown)
  t.match(error, { message: 'why', errors: [{ message: 'why' }, { message: 'a cannot be closed' }] })
})

t.test('what is being opened while the scope closes is closed too, and nobody gets it', async (t) => {
  const { closed, thing } = createThings()
  const scope = createScope()
  let resolve = () => {}
  const promise = new Promise<void>((done) => {
    resolve = done
  })
  await scope.open('a', () => thing('a'))
  const opening = scope.open('b', async () => {
    await promise
    return thing('b')
  })
  const refused = t.rejects(opening, /scope is closing/)
  const closing = scope.close()
  t.same(closed, [])
  resolve()
  await closing
  await refused
  t.same(closed, ['b', 'a'])
})

t.test('a child closes with its scope in its turn, or earlier', async (t) => {
  const { closed, thing } = createThings()
  const steps: string[] = []
  const scope = createScope({ watch: (step, name) => steps.push(`${step} ${name}`) })
  await scope.open('a', () => thing('a'))
  const early = scope.child('early')
  await early.open('b', () => thing('b'))
  const child = scope.child('child')
  await child.open('c', () => thing('c'))
  await scope.open('d', () => thing('d'))
  await early.close()
  t.same(closed, ['b'])
  await scope.close()
  t.same(closed, ['b', 'd', 'c', 'a'])
  t.same(steps, [
    'opening a',
    'opening early: b',
    'opening child: c',
    'opening d',
    'closing early: b',
    'closing d',
    'closing child',
    'closing child: c',
    'closing early',
    'closing a',
  ])
})

t.test('what the watcher throws fails the step', async (t) => {
  const { closed, thing } = createThings()
  const scope = createScope({
    watch: (step, name) => {
      if (step === 'opening' && name === 'child: b') throw new Error('not today')
    },
  })
  await scope.open('a', () => thing('a'))
  await t.rejects(
    scope.child('child').open('b', () => thing('b')),
    { message: 'not today' },
  )
  await scope.close()
  t.same(closed, ['a'])
})
