// Compiles Handlebars sources for e-mails: strict about names, escaping all of the HTML, without helpers that reach further.

import Handlebars from 'handlebars'
import { htmlPartials } from './layout.js'

export type Render = (context: Readonly<Record<string, unknown>>) => string

/** Blocks a template may use. Not `log`, which would print data, nor `lookup`, whose names cannot be read from a template. */
export const blockHelpers: ReadonlySet<string> = new Set(['if', 'unless', 'each', 'with'])

/** Text as paragraphs of lines: mail programs do not agree on CSS that would keep line breaks. */
const toParagraphs = (text: unknown): string[][] =>
  `${text ?? ''}`
    .split(/(?:\r?\n[ \t]*){2,}/)
    .filter((paragraph) => paragraph.trim() !== '')
    .map((paragraph) => paragraph.split(/\r?\n/))

const common = {
  strict: true,
  knownHelpersOnly: true,
  knownHelpers: { paragraphs: true, log: false, lookup: false } as unknown as KnownHelpers,
  preventIndent: true,
} satisfies CompileOptions
const htmlOptions: CompileOptions = common
const plainOptions: CompileOptions = { ...common, noEscape: true }

const createEnvironment = () => {
  const environment = Handlebars.create()
  environment.unregisterHelper('log')
  environment.unregisterHelper('lookup')
  environment.registerHelper('paragraphs', toParagraphs)
  return environment
}

// Two environments: a partial is compiled with the options of its first user, and only HTML may use these.
const html = createEnvironment()
const plain = createEnvironment()
for (const [name, source] of Object.entries(htmlPartials)) html.registerPartial(name, html.compile(source, htmlOptions))

/** The syntax tree of a template. Throws an Error whose first line says where it cannot be read. */
export const parseTemplate = (source: string): unknown => plain.parse(source)

/** Throws for helpers that do not exist. What it returns throws for names that are not in the context. */
export const compileTemplate = (source: string, isHtml: boolean): Render => {
  const environment = isHtml ? html : plain
  const options = isHtml ? htmlOptions : plainOptions
  // compile() itself waits for the first use.
  environment.precompile(source, options)
  return environment.compile(source, options)
}
