// What `npm run audit` makes of what npm reports.

import t from 'tap'
import { toVerdict } from '../../scripts/audit.mjs'

const report = (...severities: string[]) => ({
  auditReportVersion: 2,
  vulnerabilities: Object.fromEntries(severities.map((severity) => [severity, { name: `a-${severity}-one`, severity, range: '<2.0.0' }])),
})

t.test('passes without grave findings, and names the others', async (t) => {
  t.same(toVerdict(report()), { kind: 'passed', found: [] })
  t.same(toVerdict(report('low', 'moderate')), {
    kind: 'passed',
    found: [
      { name: 'a-low-one', severity: 'low', range: '<2.0.0' },
      { name: 'a-moderate-one', severity: 'moderate', range: '<2.0.0' },
    ],
  })
})

t.test('fails on a high or critical one', async (t) => {
  for (const severity of ['high', 'critical']) t.equal(toVerdict(report('low', severity)).kind, 'vulnerable', severity)
})

t.test('a registry without audits, or without an answer, is no finding', async (t) => {
  const refused = { message: '405 Method Not Allowed', method: 'POST', statusCode: 405, error: { summary: '', detail: '' } }
  t.same(toVerdict(refused), { kind: 'unavailable', reason: '405 Method Not Allowed' })
  t.same(toVerdict(null), { kind: 'unavailable', reason: 'npm audit gave no report' })
})
