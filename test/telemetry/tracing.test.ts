// Traces, against a collector on this machine: from the caller's traceparent to what a job calls.

import { createRequire } from 'node:module'
import { Type } from '@sinclair/typebox'
import { pino } from 'pino'
import t from 'tap'
import { loadBuiltinConfig } from '../../src/builtin/config.js'
import { loadConfig } from '../../src/config/config.js'
import { openSmtp } from '../../src/mail/smtp.js'
import { createOutbound } from '../../src/outbound/client.js'
import { defineJobType, done } from '../../src/types/definition.js'
import { openVendorHttp } from '../../src/vendors/http.js'
import { buildTestApp } from '../helpers/build-test-app.js'
import { startOtlpReceiver } from '../helpers/otlp-receiver.js'
import { startStubServer } from '../helpers/vendor-stubs/stub-server.js'

const callerTrace = '0af7651916cd43dd8448eb211c80319c'
const callerSpan = 'b7ad6b7169203331'
const traceparent = `00-${callerTrace}-${callerSpan}-01`

/** A job type that calls out in every way there is, without payloads of its own. */
const createCaller = (vendorUrl: string) => {
  const { port } = new URL(vendorUrl)
  const {
    mail: { email, smtp },
    outbound,
  } = loadBuiltinConfig(
    { OUTBOUND_ALLOW_PRIVATE_HOSTS: `127.0.0.1:${port}`, SMTP_URL: 'smtp://canary-user:canary@127.0.0.1:1' },
    '/',
  ).settings
  return defineJobType({
    name: 'call-out',
    queue: 'external-api',
    description: 'Calls a vendor, fetches an address, and fails to send a mail.',
    data: Type.Object({ secret: Type.String() }, { additionalProperties: false }),
    result: Type.Unknown(),
    example: { secret: 'x' },
    defaults: { attempts: 1, priority: 'normal', timeoutMs: 60_000 },
    requires: [],
    run: async ({ secret }, { signal }) => {
      const vendor = openVendorHttp({ baseUrl: vendorUrl, connectTimeoutMs: 5000, timeoutMs: 5000 })
      const reply = await vendor.call({
        method: 'POST',
        path: `/canary?q=${secret}`,
        headers: { 'x-canary': secret },
        body: secret,
        signal,
      })
      await vendor.close()
      const source = createOutbound({ rules: outbound })
      const fetched = await source.fetch(`${vendorUrl}/canary-missing?q=${secret}`, { signal, maxBytes: 1000 })
      if (fetched.kind === 'response') fetched.discard()
      await source.close()
      const mailer = openSmtp({ smtp: smtp as NonNullable<typeof smtp>, email, templates: {} as never, log: pino({ level: 'silent' }) })
      await mailer.send({ to: 'canary@example.com', subject: secret, html: secret, text: secret, messageId: '<canary@x>', signal })
      await mailer.close()
      return done({ kinds: [reply.kind, fetched.kind], secret })
    },
  })
}

/** What is loaded of OpenTelemetry, besides the part that prom-client brings. */
const loadedModules = () => Object.keys(createRequire(import.meta.url).cache).filter((path) => /@opentelemetry[/\\](?!api)/.test(path))

t.test('off by default: nothing of OpenTelemetry is loaded', async (t) => {
  const test = await buildTestApp(t)
  const { id } = (await test.submit({ type: 'echo', data: { label: 'a' } }, { traceparent })).json()
  t.match(await test.finished(id), { state: 'completed' })
  t.equal(test.services.tracing, undefined)
  t.same(loadedModules(), [])
  const disabled = { OTEL_SDK_DISABLED: 'true', OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:1' }
  t.equal(loadConfig(disabled, '/').tracing, undefined)
  t.equal(loadConfig({ OTEL_TRACES_EXPORTER: 'none', OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:1' }, '/').tracing, undefined)
})

t.test('the standard variables', async (t) => {
  t.match(loadConfig({ OTEL_TRACES_EXPORTER: 'otlp' }, '/').tracing, {
    url: 'http://localhost:4318/v1/traces',
    protocol: 'http/protobuf',
    serviceName: 'jobgate',
    sampler: 'parentbased_always_on',
    samplerRatio: 1,
  })
  const set = {
    OTEL_EXPORTER_OTLP_ENDPOINT: 'https://collector:4318/base/',
    OTEL_EXPORTER_OTLP_HEADERS: 'authorization=Basic%20abc=,x=1',
    OTEL_RESOURCE_ATTRIBUTES: 'deployment.environment.name=staging',
    OTEL_SERVICE_NAME: 'jobs',
  }
  t.match(loadConfig(set, '/').tracing, {
    url: 'https://collector:4318/base/v1/traces',
    headers: { authorization: 'Basic abc=', x: '1' },
    resourceAttributes: { 'deployment.environment.name': 'staging' },
    serviceName: 'jobs',
  })
  t.equal(loadConfig({ ...set, OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: 'http://t:1/x' }, '/').tracing?.url, 'http://t:1/x')
  const on = { OTEL_TRACES_EXPORTER: 'otlp' }
  t.throws(() => loadConfig({ ...on, OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc' }, '/'), /OTEL_EXPORTER_OTLP_PROTOCOL.*http\/protobuf, http\/json/)
  t.throws(() => loadConfig({ ...on, OTEL_EXPORTER_OTLP_ENDPOINT: 'collector:4318' }, '/'), /OTEL_EXPORTER_OTLP_ENDPOINT must start/)
  for (const headers of ['canary', 'a=%E0%canary', 'a=b,canary'])
    t.throws(
      () => loadConfig({ ...on, OTEL_EXPORTER_OTLP_HEADERS: headers }, '/'),
      /^Configuration: OTEL_EXPORTER_OTLP_HEADERS (?!.*canary)/,
      headers,
    )
  t.throws(() => loadConfig({ ...on, OTEL_TRACES_SAMPLER: 'jaeger_remote' }, '/'), /OTEL_TRACES_SAMPLER/)
})

t.test('one trace from the caller through queue and worker to what the job calls', async (t) => {
  const collector = await startOtlpReceiver(t)
  const vendor = await startStubServer(t, { work: ({ path }) => ({ status: path.includes('missing') ? 404 : 200, body: {} }) })
  const env = { OTEL_EXPORTER_OTLP_ENDPOINT: collector.url, OTEL_EXPORTER_OTLP_PROTOCOL: 'http/json', OTEL_SERVICE_NAME: 'jobs' }
  const types = [createCaller(vendor.url)]
  const gateway = await buildTestApp(t, { types, env: { ...env, WORKERS_ENABLED: 'false' } })
  const worker = await buildTestApp(t, { types, env, beside: gateway })
  t.ok(loadedModules().length > 0, 'now it is loaded')
  const secret = 'canary-payload'
  const answer = await gateway.submit(
    { type: 'call-out', data: { secret } },
    { traceparent, tracestate: 'rojo=1', 'x-request-id': 'req-1' },
  )
  const { id } = answer.json()
  t.match(await gateway.finished(id), { state: 'completed', result: { kinds: ['answered', 'response'] } })
  await gateway.request({ method: 'GET', url: '/livez' })
  await gateway.request({ method: 'GET', url: '/v1/jobs/canary?waitMs=0' })
  await worker.services.close()
  await gateway.app.close()
  await gateway.services.close()

  const request = collector.span('POST /v1/jobs')
  t.match(request, { traceId: callerTrace, parentSpanId: callerSpan, traceState: 'rojo=1', kind: 'server', failed: false })
  t.same(request.attributes, {
    'http.request.method': 'POST',
    'http.route': '/v1/jobs',
    'jobgate.request.id': 'req-1',
    'http.response.status_code': 202,
  })
  t.match(request.resource, { 'service.name': 'jobs', 'service.version': '0.1.0', 'service.instance.id': gateway.config.instanceId })

  const attempt = collector.span('attempt call-out')
  t.match(attempt, { traceId: callerTrace, parentSpanId: request.spanId, traceState: 'rojo=1', kind: 'consumer', failed: false })
  t.match(attempt.attributes, {
    'messaging.message.id': id,
    'messaging.destination.name': 'external-api',
    'jobgate.attempt': 1,
    'jobgate.outcome': 'completed',
    'jobgate.correlation.id': /^c_/,
  })
  t.match(attempt.resource, { 'service.instance.id': worker.config.instanceId })

  const within = { traceId: callerTrace, parentSpanId: attempt.spanId, kind: 'client' }
  t.match(collector.span('POST'), {
    ...within,
    failed: false,
    attributes: { 'server.address': '127.0.0.1', 'http.response.status_code': 200 },
  })
  t.match(collector.span('GET'), { ...within, failed: true, attributes: { 'http.response.status_code': 404, 'error.type': '404' } })
  t.match(collector.span('send mail'), { ...within, failed: true, attributes: { 'error.type': 'smtp.unreachable' } })

  t.same(
    vendor.requests.flatMap(({ headers }) => [headers['traceparent'], headers['tracestate'], headers['baggage']]),
    Array(6).fill(undefined),
    'vendors are told nothing of the trace',
  )
  t.notOk(
    collector.requests.some(({ body }) => body.includes('canary')),
    'no payload, address or credential',
  )
  t.notOk(
    collector.spans.some(({ name }) => name.includes('livez')),
    'probes are not traced',
  )

  const lineOf = (logs: string[], text: string) =>
    JSON.parse(logs.find((line) => line.includes(text) && line.includes(callerTrace)) ?? 'null')
  t.match(lineOf(worker.logs, 'attempt ended'), { jobId: id, trace_id: callerTrace, span_id: attempt.spanId })
  t.match(lineOf(gateway.logs, '"msg":"request"'), { reqId: 'req-1', trace_id: callerTrace, span_id: request.spanId })
})

t.test('without a caller a trace begins here, and retries and follow-ups are part of it', async (t) => {
  const collector = await startOtlpReceiver(t)
  const env = { OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: `${collector.url}/own`, OTEL_EXPORTER_OTLP_PROTOCOL: 'http/json' }
  const test = await buildTestApp(t, { env })
  const submitted = await test.submit({
    type: 'flaky',
    data: { label: 'first' },
    followUps: [{ type: 'refuse', data: { label: 'next' } }],
  })
  const { id, followUps } = submitted.json()
  await test.finished(id)
  await test.finished(followUps[0].id)
  await test.app.close()
  await test.services.close()
  const request = collector.span('POST /v1/jobs')
  t.equal(request.parentSpanId, null)
  const attempts = collector.spans.filter(({ name }) => name === 'attempt flaky')
  t.match(attempts, [
    {
      traceId: request.traceId,
      parentSpanId: request.spanId,
      failed: true,
      attributes: { 'jobgate.outcome': 'retrying', 'error.type': 'handler_error' },
    },
    { traceId: request.traceId, parentSpanId: request.spanId, failed: false, attributes: { 'jobgate.attempt': 2 } },
  ])
  t.match(collector.span('attempt refuse'), {
    traceId: request.traceId,
    parentSpanId: attempts[1]?.spanId,
    failed: true,
    attributes: { 'jobgate.outcome': 'failed', 'error.type': 'invalid_data' },
  })
  t.ok(collector.requests.every(({ path }) => path === '/own'))
})

t.test('TRC-3 without trust a new trace is linked to that of the caller', async (t) => {
  const collector = await startOtlpReceiver(t)
  const env = { OTEL_EXPORTER_OTLP_ENDPOINT: collector.url, OTEL_EXPORTER_OTLP_PROTOCOL: 'http/json', TRUST_TRACE: 'false' }
  const test = await buildTestApp(t, { env })
  const { id } = (await test.submit({ type: 'echo', data: { label: 'a' } }, { traceparent, tracestate: 'rojo=1' })).json()
  await test.finished(id)
  await test.app.close()
  await test.services.close()
  const request = collector.span('POST /v1/jobs')
  t.not(request.traceId, callerTrace)
  t.match(request, { parentSpanId: null, traceState: null, links: [{ traceId: callerTrace, spanId: callerSpan }] })
  t.match(collector.span('attempt echo'), { traceId: request.traceId, parentSpanId: request.spanId })
})

t.test('what the caller does not record is not sent, and its trace goes on all the same', async (t) => {
  const collector = await startOtlpReceiver(t)
  const test = await buildTestApp(t, { env: { OTEL_EXPORTER_OTLP_ENDPOINT: collector.url } })
  const submit = async (headers: Record<string, string>) => {
    const { id } = (await test.submit({ type: 'echo', data: { label: 'a' } }, headers)).json()
    await test.finished(id)
    const stored = await test.services.redis.request.hget(test.services.queueKeys['external-api'].job(id), 'data')
    return JSON.parse(stored as string).traceparent
  }
  t.match(await submit({ traceparent: traceparent.replace(/01$/, '00') }), new RegExp(`^00-${callerTrace}-[0-9a-f]{16}-00$`))
  t.match(await submit({}), /-01$/)
  await test.app.close()
  await test.services.close()
  t.ok(collector.requests.length > 0)
  for (const { headers, body } of collector.requests) {
    t.equal(headers['content-type'], 'application/x-protobuf', 'protobuf unless told otherwise')
    t.notOk(body.includes(Buffer.from(callerTrace, 'hex').toString()))
  }
})

t.test('a collector that is away costs spans, not requests', async (t) => {
  const test = await buildTestApp(t, { env: { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:1', OTEL_EXPORTER_OTLP_HEADERS: 'x=canary' } })
  const { id } = (await test.submit({ type: 'echo', data: { label: 'a' } })).json()
  t.match(await test.finished(id), { state: 'completed' })
  await test.app.close()
  await test.services.close()
  t.ok(test.logs.some((line) => /spans were not sent|sending the last spans timed out/.test(line)))
  t.notOk(test.logs.some((line) => line.includes('canary')))
})
