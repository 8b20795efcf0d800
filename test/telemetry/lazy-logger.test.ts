import { pino } from 'pino'
import t from 'tap'
import { createLazyLogger } from '../../src/telemetry/lazy-logger.js'

const setUp = (level: string) => {
  const lines: Record<string, unknown>[] = []
  const parent = pino({ level, base: null }, { write: (line: string) => lines.push(JSON.parse(line)) })
  let asked = 0
  const log = createLazyLogger(parent, () => {
    asked++
    return { reqId: 'r1' }
  })
  return { lines, log, asked: () => asked }
}

t.test('bindings are asked once, and only for a line that is written', async (t) => {
  const { lines, log, asked } = setUp('warn')
  log.info('not written')
  t.equal(asked(), 0)
  log.warn({ a: 1 }, 'written')
  log.error('too')
  t.equal(asked(), 1)
  t.match(lines, [
    { reqId: 'r1', a: 1, msg: 'written' },
    { reqId: 'r1', msg: 'too' },
  ])
  t.equal(log.level, 'warn')
})

t.test('children and lazy loggers over lazy ones carry all bindings', async (t) => {
  const { lines, log } = setUp('info')
  createLazyLogger(log, () => ({ trace_id: 't1' })).info('nested')
  log.child({ jobId: 'j1' }).info('child')
  t.match(lines, [
    { reqId: 'r1', trace_id: 't1', msg: 'nested' },
    { reqId: 'r1', jobId: 'j1', msg: 'child' },
  ])
})
