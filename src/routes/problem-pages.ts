// Renders the table of problems for people: one page for all, one for each.

import { renderPage, toHtml } from '../http/html-page.js'
import { type ProblemKind, type ProblemName, problems } from '../http/problems/problem-types.js'
import type { JobErrorTable } from '../types/job-errors.js'

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

/** Text of the tables, where backticks mark code. */
const prose = (text: string): string => toHtml(text).replace(/`([^`]+)`/g, '<code>$1</code>')

const page = (title: string, body: string): string => renderPage(`${title} · Jobgate`, body)

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

export const renderProblems = (jobErrors: JobErrorTable): string => {
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
<p>Every failed request returns one of these as <code>application/problem+json</code>.</p>
<div class="table"><table><thead><tr><th>Status</th><th>Problem</th><th>What to do</th></tr></thead><tbody>
${rows.join('\n')}
</tbody></table></div>
<h2>Job errors</h2>
<p>A job with a failed attempt has one of these codes in <code>error.code</code>.</p>
<div class="table"><table><thead><tr><th>Code</th><th>Meaning</th><th>Retryable</th></tr></thead><tbody>
${codes.join('\n')}
</tbody></table></div>
<p><a href="/docs">API documentation</a></p>`,
  )
}
