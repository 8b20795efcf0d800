// Definitions and documents that were made to hold a gateway up: none is answered with 5xx, and none does.

import { monitorEventLoopDelay } from 'node:perf_hooks'
import t from 'tap'
import { parseDefinition, type TypeDefinition } from '../../src/types/contracts/definition.js'
import { compareDefinitions } from '../../src/types/contracts/evolution.js'
import { createContractValidator } from '../../src/types/contracts/validator.js'
import { adminKey, buildTestApp, type TestApp } from '../helpers/build-test-app.js'
import { define, hostileDefinitions, hostileDocuments, hostilePairs } from '../helpers/hostile-definitions.js'

/** Of the processor, in all threads: the machine may be as busy as it likes. Told, and not judged. */
const createStopwatch = () => {
  let slowest = { ms: 0, what: '' }
  return {
    run<T>(what: string, act: () => T): T {
      const before = process.cpuUsage()
      const result = act()
      const { user, system } = process.cpuUsage(before)
      const ms = Math.round((user + system) / 100) / 10
      if (ms > slowest.ms) slowest = { ms, what }
      return result
    },
    toString: () => `${slowest.ms} ms (${slowest.what})`,
  }
}

const open = (t: { after(handler: () => unknown): void }) => buildTestApp(t, { env: { WORKERS_ENABLED: 'false', LOG_LEVEL: 'error' } })
const put = ({ app }: TestApp, payload: string, name = 'hostile') =>
  app.inject({
    method: 'PUT',
    url: `/v1/job-types/${name}`,
    payload,
    headers: { authorization: `Bearer ${adminKey}`, 'content-type': 'application/json' },
  })

t.test('definitions', async (t) => {
  const test = await open(t)
  const all = hostileDefinitions()
  t.ok(all.length >= 200, `${all.length} of them`)
  const delay = monitorEventLoopDelay({ resolution: 1 })
  delay.enable()
  const statuses = new Map<number, number>()
  for (const [at, [what, body]] of all.entries()) {
    const answer = await put(test, body, `hostile-${at}`)
    statuses.set(answer.statusCode, (statuses.get(answer.statusCode) ?? 0) + 1)
    if (![200, 201, 400, 413].includes(answer.statusCode)) t.fail(`${what}: ${answer.statusCode} ${answer.body.slice(0, 500)}`)
    if (answer.body.length > 100_000 && answer.statusCode >= 400) t.fail(`${what}: an answer of ${answer.body.length} bytes`)
  }
  delay.disable()
  t.ok((statuses.get(201) ?? 0) > 20 && (statuses.get(400) ?? 0) > 100, JSON.stringify(Object.fromEntries(statuses)))
  t.equal(({} as { description?: string }).description, undefined, 'no prototype has changed')
  const watch = createStopwatch()
  for (const [what, body] of all) {
    if (body.length < 262_144) watch.run(what, () => parseDefinition(safely(body)))
  }
  t.comment(`event loop at most ${Math.round(delay.max / 1e5) / 10} ms late; reading one took at most ${watch} of the processor`)
})

const safely = (body: string): unknown => {
  try {
    return JSON.parse(body)
  } catch {
    return undefined
  }
}

/** What an author would send as an example; the gateway wants one. */
const withExample = (data: object): TypeDefinition => {
  const read = parseDefinition(define(data))
  if (read.kind === 'definition') return read.definition
  const required = define({ ...data, required: [] })
  const other = parseDefinition(required)
  if (other.kind === 'refused') throw new Error(JSON.stringify(other.faults))
  return { ...other.definition, data: { ...other.definition.data, required: (data as { required: string[] }).required } }
}

t.test('pairs of versions', async (t) => {
  const test = await open(t)
  const watch = createStopwatch()
  let turns = 0
  for (const [at, [what, before, after]] of hostilePairs().entries()) {
    const optional = (data: object) =>
      JSON.stringify(define('oneOf' in data ? data : { ...data, required: [] }, 'oneOf' in data ? { example: { kind: 'k0' } } : {}))
    t.equal((await put(test, optional(before), `pair-${at}`)).statusCode, 201, what)
    t.match([200, 409], (await put(test, optional(after), `pair-${at}`)).statusCode === 200 ? [200] : [], what)
  }
  for (const [what, before, after] of hostilePairs()) {
    if ('oneOf' in before) continue
    const [earlier, later] = [withExample(before), withExample(after)]
    const { incompatibilities, findCounterexample } = watch.run(what, () => compareDefinitions(earlier, later))
    let isOver = false
    const others = async () => {
      for (; !isOver; turns++) await new Promise((resolve) => setImmediate(resolve))
    }
    const waiting = others()
    t.ok(incompatibilities.length <= 21, what)
    await findCounterexample()
    isOver = true
    await waiting
  }
  t.ok(turns > 100, `others had ${turns} turns while examples were looked for`)
  t.comment(`comparing took at most ${watch} of the processor`)
})

t.test('documents', async (t) => {
  const test = await open(t)
  const watch = createStopwatch()
  for (const [at, [what, data, document]] of hostileDocuments().entries()) {
    t.equal((await put(test, JSON.stringify(define(data)), `documents-${at}`)).statusCode, 201, what)
    const answer = await test.submit({ type: `documents-${at}`, data: document })
    t.ok([202, 400, 413].includes(answer.statusCode), `${what}: ${answer.statusCode}`)
    const read = parseDefinition(define(data))
    if (read.kind === 'refused') throw new Error(what)
    const validate = createContractValidator(read.definition.data)
    validate({})
    watch.run(what, () => validate(document))
  }
  t.comment(`checking took at most ${watch} of the processor`)
})
