// Types of modules in a Redis that loses everything while instances run.

import t from 'tap'
import { builtinTypes } from '../../src/builtin/builtin.js'
import { loadTypeModules } from '../../src/types/modules/load.js'
import { createJobTypes } from '../../src/types/registry.js'
import { buildTestApp } from '../helpers/build-test-app.js'
import { eventually } from '../helpers/eventually.js'
import { createJobTypeFolder, moduleSource } from '../helpers/job-type-folder.js'

const names = ['count-words', 'count-more']

t.test('they are registered again, also one that was deleted before', async (t) => {
  const files = Object.fromEntries(names.map((name) => [`${name}.mjs`, moduleSource(name)]))
  const { dir } = await createJobTypeFolder(t, files)
  const test = await buildTestApp(t, { modules: await loadTypeModules(dir, createJobTypes(builtinTypes)) })
  const other = await buildTestApp(t, { env: { WORKERS_ENABLED: 'false' }, beside: test })
  const { keys, redis } = test.services
  const areStored = async () => (await redis.request.hlen(keys.jobTypes)) === names.length
  const run = async () => {
    const { id } = (await other.submit({ type: 'count-words', data: { text: 'one two' } })).json()
    return other.finished(id)
  }
  t.match(await run(), { state: 'completed', result: { words: 2 } })
  for (const time of ['once', 'twice']) {
    await redis.request.flushall()
    await eventually('they are registered again', areStored)
    t.match(await run(), { state: 'completed', typeVersion: 1 }, time)
  }
  t.equal((await test.request({ method: 'DELETE', url: '/v1/job-types/count-more' })).statusCode, 204)
  await redis.request.flushall()
  await eventually('all are back', areStored)
})
