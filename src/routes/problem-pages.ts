// Renders the table of problems for people: one page for all, one for each.

import { createHash } from 'node:crypto'
import { jobErrors, type ProblemKind, type ProblemName, problems } from '../errors.js'

/** What the documents say of one problem. */
export interface ProblemDescription {
  readonly name: ProblemName
  readonly type: string
  readonly title: string
  readonly status: number
  readonly remedy: string
}

export const isProblemName = (name: string): name is ProblemName => Object.hasOwn(problems, name)

export const describeProblem = (name: ProblemName): ProblemDescription => {
  const { type = `/problems/${name}`, title, status, remedy }: ProblemKind = problems[name]
  return { name, type, title, status, remedy }
}

export const allProblems = (): ProblemDescription[] => (Object.keys(problems) as ProblemName[]).map(describeProblem)

const style = `
:root{color-scheme:light dark;--ink:#1d2330;--soft:#5b6475;--line:#dfe3ea;--paper:#fff;--tint:#f5f7fa;--accent:#2457c5}
@media(prefers-color-scheme:dark){:root{--ink:#e8ebf1;--soft:#a0a9b8;--line:#333b49;--paper:#14181f;--tint:#1c222c;--accent:#8ab0ff}}
*{box-sizing:border-box}
body{margin:0;background:var(--paper);color:var(--ink);font:16px/1.6 system-ui,sans-serif}
main{max-width:46rem;margin:0 auto;padding:3rem 1.25rem 4rem}
h1{font-size:1.7rem;line-height:1.25;margin:.25rem 0 1rem}
h2{font-size:1.15rem;margin:2.5rem 0 .75rem}
p{margin:.75rem 0}
a{color:var(--accent)}
code{background:var(--tint);border:1px solid var(--line);border-radius:4px;padding:.05em .35em;font:.9em ui-monospace,monospace}
.status{color:var(--soft);margin:0}
.table{overflow-x:auto}
table{border-collapse:collapse;width:100%;font-size:.94rem}
th,td{text-align:left;vertical-align:top;padding:.5rem .75rem .5rem 0;border-bottom:1px solid var(--line)}
th{color:var(--soft);font-weight:600}
dt{color:var(--soft);margin-top:1rem}
dd{margin:.15rem 0 0}
`

/** Lets browsers apply the style above and load nothing else. */
export const pageSecurityPolicy = `default-src 'none'; style-src 'sha256-${createHash('sha256').update(style).digest('base64')}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`

const entities: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' }
const toHtml = (text: string): string => text.replace(/[&<>"']/g, (character) => entities[character] as string)
/** Text of the tables, where backticks mark code. */
const prose = (text: string): string => toHtml(text).replace(/`([^`]+)`/g, '<code>$1</code>')

const page = (title: string, body: string): string => `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${toHtml(title)} · Jobgate</title>
<style>${style}</style>
</head>
<body>
<main>
${body}
</main>
</body>
</html>
`

export const renderProblem = ({ name, type, title, status, remedy }: ProblemDescription): string =>
  page(
    title,
    `<p class="status">HTTP ${status}</p>
<h1>${toHtml(title)}</h1>
<dl>
<dt>What to do</dt><dd>${prose(remedy)}</dd>
<dt>Type</dt><dd><code>${toHtml(type)}</code></dd>
<dt>Name</dt><dd><code>${toHtml(name)}</code></dd>
</dl>
<p><a href="/problems">All problems</a> · <a href="/docs">API documentation</a></p>`,
  )

export const renderProblems = (): string => {
  const rows = allProblems().map(
    ({ name, title, status, remedy }) =>
      `<tr><td>${status}</td><td><a href="/problems/${name}">${toHtml(title)}</a></td><td>${prose(remedy)}</td></tr>`,
  )
  const codes = Object.entries(jobErrors).map(
    ([code, { meaning, retryable }]) =>
      `<tr><td><code>${toHtml(code)}</code></td><td>${prose(meaning)}</td><td>${retryable ? 'yes' : 'no'}</td></tr>`,
  )
  return page(
    'Problems',
    `<h1>Problems</h1>
<p>Every failed request is answered with one of these, as <code>application/problem+json</code>.</p>
<div class="table"><table><thead><tr><th>Status</th><th>Problem</th><th>What to do</th></tr></thead><tbody>
${rows.join('\n')}
</tbody></table></div>
<h2>Errors of jobs</h2>
<p>A job whose attempt failed carries one of these codes in <code>error.code</code>.</p>
<div class="table"><table><thead><tr><th>Code</th><th>Meaning</th><th>Retryable</th></tr></thead><tbody>
${codes.join('\n')}
</tbody></table></div>
<p><a href="/docs">API documentation</a></p>`,
  )
}
