// Rejects phrases that no native speaker would write, and British spellings, in everything that users and developers read.

import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { root } from '../helpers/source-files.js'

/** What must not be written, and what to write instead. */
const phrases: readonly (readonly [RegExp, string])[] = [
  [/\bgo(?:es)? not together\b/i, 'cannot be combined with'],
  [/\bfor want of\b/i, 'because … is missing, ran out of'],
  [/\bha(?:s|ve) to lie\b/i, 'must be'],
  [/\bmend(?:s|ed|ing)?\b/i, 'fix'],
  [/\bis no [a-z]+ that\b/i, 'is not a … that, never'],
  [/\bhand(?:s|ed|ing)? back\b/i, 'release'],
  [/\bput(?:s|ting)? off\b/i, 'defer'],
  [/(?<!\bby )\bhand(?:s|ed|ing)? in\b/i, 'submit'],
  [/\b(?:takes|taken|taking) in\b/i, 'accept'],
  [/\bat fault\b/i, 'invalid'],
  [/\banew\b/i, 'again'],
  [/\bleft out: /i, 'defaults to'],
  [/\bfor good\b/i, 'permanently'],
  [/\bunforeseen\b|\bforesees?\b/i, 'unexpected, expects'],
  [/\bunawares\b/i, 'by accident'],
  [/\btold of (?:itself|themselves)\b/i, 'reported'],
  [/\b(?:answered|answers) \d{3}\b/i, 'returned, returns'],
  [/\banalys(?:e|ed|ing)\b|\b(?:summar|serial|recogn|normal|optim)is(?:e|es|ed|ing|er)\b/i, 'the American spelling'],
  [/\b(?:col|behavi|hon|neighb)our/i, 'the American spelling'],
]

const extensions = /\.(?:ts|mjs|md|ya?ml|json|service|sh|py)$/

const textFiles = (folder: string): string[] =>
  readdirSync(join(root, folder), { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile() && extensions.test(entry.name))
    .map((entry) => join(entry.parentPath, entry.name))

const findings = (text: string): string[] =>
  text.split('\n').flatMap((line, at) =>
    phrases.flatMap(([phrase, better]) => {
      const found = phrase.exec(line)
      return found ? [`line ${at + 1}: "${found[0]}"; write: ${better}`] : []
    }),
  )

t.test('the sources, the documentation and the API description are written in plain American English', async (t) => {
  const files = ['src', 'scripts', 'bench', 'docs', 'ops', 'openapi'].flatMap(textFiles)
  const single = ['README.md', 'CONTRIBUTING.md', 'SECURITY.md', 'CHANGELOG.md', '.env.example', 'docker-compose.yml', 'Dockerfile']
  t.ok(files.length > 250, `${files.length} files`)
  for (const file of [...files, ...single.map((name) => join(root, name))]) {
    for (const finding of findings(readFileSync(file, 'utf8'))) t.fail(`${file.slice(root.length)} ${finding}`)
  }
})

t.test('the check finds each phrase', async (t) => {
  const wrong = [
    'goes not together with delayMs',
    'most likely for want of memory',
    'has to lie ahead',
    'Mend the members named in `errors`',
    'is no expression that is ever due',
    'running jobs are handed back',
    'One that was put off',
    'hands in the job',
    'An event was taken in',
    'the members at fault',
    'signed anew',
    'left out: UTC',
    'refused for good',
    'an unforeseen error',
    'never replaced unawares',
    'have told of themselves',
    'The source answered 403.',
    'summarises',
    'behaviour',
  ]
  t.equal(wrong.length, phrases.length)
  for (const line of wrong) t.equal(findings(line).length, 1, line)
  t.same(findings('Take it by hand in an afternoon; analyses are normal.'), [])
})
