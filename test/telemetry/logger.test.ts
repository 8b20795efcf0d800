import t from 'tap'
import { createLogger, toLoggedError } from '../../src/telemetry/logger.js'

const collect = () => {
  const lines: string[] = []
  return { lines, log: createLogger({ level: 'debug', bindings: { instance: 'i1' } }, { write: (line) => lines.push(line) }) }
}

t.test('lines are JSON with level, time and bindings', async (t) => {
  const { lines, log } = collect()
  log.info({ queue: 'email' }, 'hello')
  t.match(JSON.parse(lines[0] as string), { level: 'info', instance: 'i1', queue: 'email', msg: 'hello', time: /^\d{4}-\d\d-\d\dT/ })
})

t.test('secrets are censored wherever a call puts them', async (t) => {
  const { lines, log } = collect()
  log.info({ authorization: 'canary', apiKey: 'canary', data: { to: 'canary' }, body: 'canary' })
  log.info({ headers: { authorization: 'canary', 'idempotency-key': 'canary', cookie: 'canary' }, job: { data: 'canary', id: 'kept' } })
  log.info({ upstream: { headers: { 'x-api-key': 'canary', 'set-cookie': 'canary' } } })
  log.child({ token: 'canary', vendor: 'also kept' }).info('hello')
  log.info({ headers: Object.assign(Object.create(null), { cookie: 'canary' }) })
  const given = { job: { data: 'as it was' } }
  log.info(given)
  t.notMatch(lines.join(''), /canary|as it was/)
  t.match(lines.join(''), /"id":"kept"[\s\S]*"vendor":"also kept"/)
  t.same(given, { job: { data: 'as it was' } }, 'what is logged is not changed')
})

t.test('requests and replies are logged without query, headers and body', async (t) => {
  const { lines, log } = collect()
  log.info({
    req: { method: 'GET', url: '/v1/jobs?token=canary', headers: { a: 'canary' }, body: 'canary', routeOptions: { url: '/v1/jobs' } },
    res: { statusCode: 200, headers: 'canary' },
  })
  t.match(JSON.parse(lines[0] as string), { req: { method: 'GET', route: '/v1/jobs' }, res: { statusCode: 200 } })
  t.notMatch(lines.join(''), /canary/)
})

t.test('of an error only name, message, code, stack and cause are logged, bounded', async (t) => {
  const { lines, log } = collect()
  const cause = Object.assign(new Error('why'), { command: { args: ['canary'] } })
  log.error(Object.assign(new TypeError('what', { cause }), { command: { args: ['canary'] }, code: 'E1' }), 'failed')
  t.match(JSON.parse(lines[0] as string), {
    msg: 'failed',
    err: { type: 'TypeError', message: 'what', code: 'E1', stack: /logger\.test/, cause: { message: 'why' } },
  })
  t.notMatch(lines.join(''), /canary/)
  t.ok(toLoggedError(new Error('x'.repeat(100_000))).message.length <= 2000)
  t.same(toLoggedError('canary'), { type: 'string', message: 'not an Error' })
  const loop = new Error('loop')
  loop.cause = loop
  t.equal(JSON.stringify(toLoggedError(loop)).split('"loop"').length - 1, 4, 'causes end')
})
