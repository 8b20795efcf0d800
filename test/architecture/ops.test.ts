// Holds the alerts, the dashboard, the autoscaling and the table of metrics to what /metrics of a running application gives.

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { parse } from 'yaml'
import { builtinErrors } from '../../src/builtin/job-errors.js'
import { builtinQueues } from '../../src/types/queue-name.js'
import { buildTestApp } from '../helpers/build-test-app.js'
import { type ParsedMetric, parsePrometheusText } from '../helpers/prometheus-text.js'
import { type Metric, readExpression } from '../helpers/promql.js'
import { root } from '../helpers/source-files.js'

interface Rule {
  alert: string
  expr: string
  for?: string
  labels: { severity: string }
  annotations: Record<string, string>
}
interface Panel {
  title: string
  type: string
  targets?: { expr: string; legendFormat: string }[]
  gridPos: { x: number; y: number; w: number; h: number }
}

const readText = (path: string) => readFileSync(join(root, path), 'utf8')
const rules = (parse(readText('ops/prometheus/alerts.yml')) as { groups: { rules: Rule[] }[] }).groups.flatMap((group) => group.rules)
const dashboard = JSON.parse(readText('ops/grafana/jobgate.json')) as {
  panels: Panel[]
  templating: { list: { type: string; query: string }[] }
}

const scaledObject = parse(readText('ops/kubernetes/keda/worker-scaledobject.yaml')) as {
  spec: { triggers: { name: string; metadata: { query: string } }[] }
}

/** Labels that Prometheus itself adds to what it scrapes. */
const targetLabels = new Set(['instance', 'job'])
/** Label values that a healthy application does not show, and where they come from. */
const rareValues: Readonly<Record<string, (value: string) => boolean>> = {
  code: (value) => Object.hasOwn(builtinErrors, value),
  status: (value) => /^[1-5]xx$/.test(value),
}

/** What `/metrics` shows after a little of everything. */
const readMetrics = async (t: Parameters<typeof buildTestApp>[0]) => {
  const test = await buildTestApp(t)
  for (const type of ['echo', 'flaky', 'refuse']) {
    const { id } = (await test.submit({ type, data: { label: type } })).json()
    await test.finished(id)
  }
  for (const url of ['/livez', '/readyz', '/metrics', '/canary']) await test.app.inject(url)
  return parsePrometheusText(await test.services.metrics.render())
}

const nameOf = (name: string, metrics: Map<string, ParsedMetric>) => (metrics.has(name) ? name : name.replace(/_(bucket|sum|count)$/, ''))

/** The labels of a metric with the values they have; null for a name that does not exist. */
const labelsOf = (name: string, metrics: Map<string, ParsedMetric>): Map<string, Set<string>> | null => {
  const samples = metrics.get(nameOf(name, metrics))?.samples.filter((sample) => sample.name === name)
  if (!samples || samples.length === 0) return null
  const labels = new Map<string, Set<string>>()
  for (const sample of samples) {
    for (const [label, value] of Object.entries(sample.labels)) labels.set(label, (labels.get(label) ?? new Set()).add(value))
  }
  return labels
}

const faultsOf = (expression: string, metrics: Map<string, ParsedMetric>): string[] => {
  const { metrics: used, grouping } = readExpression(expression)
  const known = used.map(({ name }) => labelsOf(name, metrics))
  const matcherFaults = used.flatMap(({ name, matchers }: Metric, index) => {
    const labels = known[index]
    if (!labels) return [`${name} does not exist`]
    return matchers.flatMap(({ label, values }) => {
      const shown = labels.get(label)
      if (!shown) return [`${name} has no label ${label}`]
      return values
        .filter((value) => !(shown.has(value) || rareValues[label]?.(value)))
        .map((value) => `${label} of ${name} is never ${value}`)
    })
  })
  const groupFaults = grouping
    .filter((label) => !targetLabels.has(label) && !known.some((labels) => labels?.has(label)))
    .map((label) => `nothing there has the label ${label}`)
  return [...matcherFaults, ...groupFaults, ...(used.length === 0 ? ['no metric'] : [])]
}

t.test('alerts, dashboard and autoscaling use metrics, labels and values that exist', async (t) => {
  const metrics = await readMetrics(t)
  t.ok(rules.length > 10)
  for (const { alert, expr } of rules) t.same(faultsOf(expr, metrics), [], alert)
  for (const { title, targets = [] } of dashboard.panels) for (const { expr } of targets) t.same(faultsOf(expr, metrics), [], title)
  t.same(scaledObject.spec.triggers.map(({ name }) => name).sort(), [...builtinQueues, 'others'].sort(), 'workers follow every queue')
  for (const { name, metadata } of scaledObject.spec.triggers) t.same(faultsOf(metadata.query, metrics), [], name)
  for (const { query } of dashboard.templating.list.filter(({ type }) => type === 'query')) {
    const [, name = '', label = ''] = /^label_values\((\w+), (\w+)\)$/.exec(query) ?? []
    t.ok(labelsOf(name, metrics)?.has(label), query)
  }
  const legends = dashboard.panels.flatMap(({ targets = [] }) => targets)
  for (const { expr, legendFormat } of legends) {
    const { grouping } = readExpression(expr)
    for (const [, label = ''] of legendFormat.matchAll(/\{\{(\w+)\}\}/g))
      t.ok(grouping.includes(label) || targetLabels.has(label), `${expr}: ${label}`)
  }

  t.test('the check sees what does not exist', async (t) => {
    const faults = (expression: string) => faultsOf(expression, metrics)
    t.same(faults('rate(jobgate_nothing_total[5m])'), ['jobgate_nothing_total does not exist'])
    t.same(faults('jobgate_queue_jobs{shape="x"}'), ['jobgate_queue_jobs has no label shape'])
    t.same(faults('jobgate_queue_jobs{state=~"waiting|gone"} > 1'), ['state of jobgate_queue_jobs is never gone'])
    t.same(faults('sum by (colour) (jobgate_workers)'), ['nothing there has the label colour'])
    t.same(faults('jobgate_attempts_total{code="no_such_code"}'), ['code of jobgate_attempts_total is never no_such_code'])
  })

  t.test('docs/observability.md lists exactly the metrics there are', async (t) => {
    const row = /^\| `(jobgate_\w+)` \| (\w+) \| (.*?) \|/gm
    const listed = Array.from(readText('docs/observability.md').matchAll(row), ([, name, type, labels = '']) => ({
      name,
      type,
      labels: Array.from(labels.matchAll(/`(\w+)`/g), ([, label]) => label),
    }))
    const real = [...metrics.values()]
      .filter(({ name }) => name.startsWith('jobgate_'))
      .map(({ name, type, samples }) => ({ name, type, labels: Object.keys(samples[0]?.labels ?? {}).filter((label) => label !== 'le') }))
    const byName = <T extends { readonly name?: string | undefined }>(rows: readonly T[]) =>
      [...rows].sort((a, b) => (a.name ?? '').localeCompare(b.name ?? ''))
    t.same(byName(listed), byName(real))
  })
})

t.test('every alert says how bad it is and what to do', async (t) => {
  const names = rules.map(({ alert }) => alert)
  t.equal(new Set(names).size, names.length)
  for (const { alert, labels, annotations } of rules) {
    t.match(alert, /^Jobgate[A-Z]/)
    t.match(labels.severity, /^(critical|warning|info)$/, alert)
    t.same(Object.keys(annotations), ['summary', 'action'], alert)
  }
})

t.test('panels do not cover each other', async (t) => {
  const cells = new Set<string>()
  for (const { title, gridPos } of dashboard.panels) {
    t.ok(gridPos.x + gridPos.w <= 24, title)
    for (let x = gridPos.x; x < gridPos.x + gridPos.w; x++) {
      for (let y = gridPos.y; y < gridPos.y + gridPos.h; y++) {
        if (cells.has(`${x} ${y}`)) t.fail(`${title} covers another`)
        cells.add(`${x} ${y}`)
      }
    }
  }
})
