// Serialisers of answers: shared by routes that answer alike, and by no others.

import t from 'tap'
import { smallApp } from '../helpers/small-app.js'

t.test('a name that stands for another schema in another scope is another schema', async (t) => {
  const { app } = await smallApp(t)
  const schema = { response: { 200: { type: 'object', properties: { of: { $ref: 'Shared#' } } } } }
  for (const member of ['a', 'b']) {
    await app.register(async (scope) => {
      scope.addSchema({ $id: 'Shared', type: 'object', properties: { [member]: { type: 'string' } } })
      scope.get(`/${member}`, { schema }, async () => ({ of: { a: '1', b: '2' } }))
      scope.get(`/${member}/again`, { schema }, async () => ({ of: { a: '1', b: '2' } }))
    })
  }
  for (const path of ['/a', '/a/again']) t.same((await app.inject(path)).json(), { of: { a: '1' } }, path)
  for (const path of ['/b', '/b/again']) t.same((await app.inject(path)).json(), { of: { b: '2' } }, path)
})
