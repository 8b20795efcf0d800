// However many job types come and go: the number of series is bounded, and what went is forgotten.

import { Type } from '@sinclair/typebox'
import t from 'tap'
import { createAttemptMetrics } from '../../src/attempts/metrics.js'
import { countSubmissions } from '../../src/jobs/count-submissions.js'
import { createMetrics } from '../../src/telemetry/metrics.js'
import { defineJobType, done } from '../../src/types/definition.js'
import { createMetricNames, forgetGoneNames } from '../../src/types/metric-names.js'
import { createJobTypes } from '../../src/types/registry.js'
import { parsePrometheusText, sampleValue } from '../helpers/prometheus-text.js'

const define = (name: string, queue = name) =>
  defineJobType({
    name,
    queue,
    description: 'For the test.',
    data: Type.Object({}),
    result: Type.Unknown(),
    example: {},
    defaults: { priority: 'normal', timeoutMs: 1000 },
    requires: [],
    run: async () => done({}),
  })

t.test('built-in types and queues, and the first hundred others in the order of their registration', async (t) => {
  const jobTypes = createJobTypes([define('first', 'email'), define('second', 'email')])
  const names = createMetricNames(jobTypes)
  for (let at = 0; at < 150; at++) jobTypes.put(define(`own-${at}`))
  t.equal(names.types().size, 102)
  t.equal(names.queues().size, 103)
  t.same(['first', 'own-0', 'own-99', 'own-100', 'never', '__proto__'].map(names.ofType), [
    'first',
    'own-0',
    'own-99',
    'other',
    'other',
    'other',
  ])
  t.same(['email', 'own-99', 'own-100'].map(names.ofQueue), ['email', 'own-99', 'other'])
  jobTypes.remove('own-3')
  t.same(['own-3', 'own-100', 'own-101'].map(names.ofType), ['other', 'own-100', 'other'], 'a place is free')
})

t.test('counters and histograms of what went are forgotten, all others go on', async (t) => {
  const metrics = createMetrics()
  const jobTypes = createJobTypes([define('stays', 'email')])
  forgetGoneNames(metrics, jobTypes)
  const { started, ended } = createAttemptMetrics(metrics, { jobErrors: {}, jobTypes })
  const accept = countSubmissions(async () => ({ kind: 'full' }), { jobTypes, metrics })
  const use = async (type: string, queue: string) => {
    await accept({ type, data: {} }, { tenant: 'default' })
    started(queue, 5)
    ended(type, 'completed', null, 5)
  }
  const read = async () => parsePrometheusText(await metrics.render())
  const countsOf = async (type: string, queue: string) => {
    const samples = await read()
    return [
      sampleValue(samples, 'jobgate_jobs_submitted_total', { type, outcome: 'refused' }),
      sampleValue(samples, 'jobgate_attempts_total', { type, outcome: 'completed' }),
      sampleValue(samples, 'jobgate_attempt_duration_seconds', { type }, '_count'),
      sampleValue(samples, 'jobgate_job_wait_seconds', { queue }, '_count'),
    ]
  }
  jobTypes.put(define('comes-and-goes'))
  await use('stays', 'email')
  await use('comes-and-goes', 'comes-and-goes')
  t.same(await countsOf('comes-and-goes', 'comes-and-goes'), [1, 1, 1, 1])
  jobTypes.remove('comes-and-goes')
  t.same(await countsOf('comes-and-goes', 'comes-and-goes'), [undefined, undefined, undefined, undefined])
  t.same(await countsOf('stays', 'email'), [1, 1, 1, 1])
  await use('comes-and-goes', 'comes-and-goes')
  t.same(await countsOf('other', 'other'), [1, 1, 1, 1], 'a job that is still under way')
  jobTypes.put(define('comes-and-goes'))
  t.same(await countsOf('comes-and-goes', 'comes-and-goes'), [0, 0, undefined, 0], 'it begins anew')
  await use('comes-and-goes', 'comes-and-goes')
  t.same(await countsOf('comes-and-goes', 'comes-and-goes'), [1, 1, 1, 1])
  t.same(await countsOf('stays', 'email'), [1, 1, 1, 1])
})
