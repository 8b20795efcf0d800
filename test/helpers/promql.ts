// Reads from a PromQL expression which metrics and labels it uses. It knows the words of the language, not its grammar.

/** One use of a metric. `values` are the alternatives of a matcher; empty where they cannot be listed. */
export interface Metric {
  readonly name: string
  readonly matchers: readonly { readonly label: string; readonly values: readonly string[] }[]
}

const words = new Set([
  'by',
  'without',
  'on',
  'ignoring',
  'group_left',
  'group_right',
  'and',
  'or',
  'unless',
  'bool',
  'offset',
  'inf',
  'nan',
])
const groupingForm = /\b(?:by|without|on|ignoring|group_left|group_right)\s*\(([^)]*)\)/g
const matcherForm = /([a-zA-Z_]\w*)\s*(=~|!~|!=|=)\s*"((?:[^"\\]|\\.)*)"/g
const metricForm = /([a-zA-Z_:][\w:]*)\s*(\{[^}]*\})?(\s*\()?/g

/** Metrics with their matchers, and the labels that are grouped or joined by. Variables of Grafana stand for any value. */
export const readExpression = (expression: string): { metrics: Metric[]; grouping: string[] } => {
  const grouping = Array.from(expression.matchAll(groupingForm), ([, labels = '']) => labels.split(',').map((label) => label.trim())).flat()
  const rest = expression.replace(groupingForm, ' ').replace(/\[[^\]]*\]/g, ' ')
  const metrics: Metric[] = []
  for (const [, name = '', braces = '', call] of rest.matchAll(metricForm)) {
    if (call || words.has(name.toLowerCase())) continue
    const matchers = Array.from(braces.matchAll(matcherForm), ([, label = '', , text = '']) => ({
      label,
      values: text.includes('$') ? [] : text.split('|'),
    }))
    metrics.push({ name, matchers })
  }
  return { metrics, grouping: grouping.filter((label) => label !== '') }
}
