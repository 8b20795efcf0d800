// Reads the text that Prometheus reads.

export interface Sample {
  readonly name: string
  readonly labels: Readonly<Record<string, string>>
  readonly value: number
}

/** One metric with its samples; those of a histogram carry `_bucket`, `_sum` and `_count`. */
export interface ParsedMetric {
  readonly name: string
  readonly type: string
  readonly help: string
  readonly samples: Sample[]
}

const sampleLine = /^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)$/
const labelPair = /([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\.)*)"(?:,|$)/gy

/** Throws at the first line that is not in the text format 0.0.4. */
export const parsePrometheusText = (text: string): Map<string, ParsedMetric> => {
  const metrics = new Map<string, ParsedMetric>()
  let current: ParsedMetric | undefined
  let help = ''
  for (const line of text.split('\n')) {
    if (line === '') continue
    const comment = /^# (HELP|TYPE) (\S+) (.*)$/.exec(line)
    if (comment?.[1] === 'HELP') help = comment[3] as string
    else if (comment) {
      current = { name: comment[2] as string, type: comment[3] as string, help, samples: [] }
      if (metrics.has(current.name)) throw new Error(`${current.name} stands there twice`)
      metrics.set(current.name, current)
    } else {
      const sample = toSample(line)
      if (!current || !sample.name.startsWith(current.name)) throw new Error(`a sample outside of its metric: ${line}`)
      current.samples.push(sample)
    }
  }
  return metrics
}

const toSample = (line: string): Sample => {
  const [, name = '', pairs = '', value = ''] = sampleLine.exec(line) ?? []
  const labels: Record<string, string> = {}
  labelPair.lastIndex = 0
  let end = 0
  for (let pair = labelPair.exec(pairs); pair; pair = labelPair.exec(pairs)) {
    labels[pair[1] as string] = pair[2] as string
    end = labelPair.lastIndex
  }
  if (name === '' || end !== pairs.length) throw new Error(`not a sample: ${line}`)
  return { name, labels, value: Number(value) }
}

/** The value of the one sample with these labels, others ignored; undefined without one. */
export const sampleValue = (
  metrics: Map<string, ParsedMetric>,
  name: string,
  labels: Record<string, string> = {},
  suffix = '',
): number | undefined =>
  metrics
    .get(name)
    ?.samples.find(
      (sample) => sample.name === name + suffix && Object.entries(labels).every(([key, value]) => sample.labels[key] === value),
    )?.value
