// Turns a template's name and data into subject, HTML and text, from Jobgate's own templates and those of EMAIL_TEMPLATE_DIR.

import type { TObject } from '@sinclair/typebox'
import { Value, type ValueError, ValueErrorType } from '@sinclair/typebox/value'
import type { FieldProblem } from '../../types/field-problems.js'
import { toFragment } from '../../types/field-problems.js'
import { toPatternDetail } from '../../types/schema-parts.js'
import { type Locale, locales } from '../schema.js'
import type { MailSettings } from '../settings.js'
import { compileTemplate, type Render } from './compiler.js'
import { describeTemplate, type TemplateDescription, type TemplatePart, toPart } from './description.js'
import { toDataSchema, toSampleData } from './fields.js'
import { type FolderFile, type FolderTemplate, inOneLine, readTemplateFolder } from './folder.js'
import { footers } from './layout.js'
import { type BuiltInTemplate, builtInTemplates, type MailSources } from './texts.js'

export interface RenderedMail {
  readonly subject: string
  readonly html: string
  readonly text: string
}

type Compiled = Readonly<Record<keyof MailSources, Render>>

interface MailTemplate {
  readonly jobType: string
  readonly data: TObject
  /** Data to show it with. */
  readonly sample: Readonly<Record<string, unknown>>
  readonly parts: readonly TemplatePart[]
  readonly byLocale: Readonly<Record<Locale, Compiled>>
}

/** A template and what it looks like, filled with `sample`. */
export interface TemplatePreview extends TemplateDescription {
  readonly sample: Record<string, unknown>
  /** One for each of its languages; none when data that would fit cannot be guessed from the template. */
  readonly previews: (RenderedMail & { readonly locale: Locale })[]
}

export type MailTemplates = ReturnType<typeof openMailTemplates>

const subjectLengthMax = 200
const problemsMax = 20
const sampleSubject = 'Subject'
/** What `send-notification-email` may name; the others belong to one job type. */
const notificationJobType = 'send-notification-email'

/**
 * Reads and tries out every template.
 * `EMAIL_TEMPLATE_DIR` holds `<name>.<locale>.html.hbs`, `….text.hbs` and `….subject.hbs` (Handlebars). A name of Jobgate's own
 * replaces those parts of it; another name joins as a template of `send-notification-email`: it needs HTML and text in one
 * language at least, takes the submitted subject unless it brings its own, and wants the data its templates print.
 * Throws with one readable line that names the broken file.
 */
export const openMailTemplates = (dir: string | undefined) => {
  const templates = toTemplates(dir)
  const requireTemplate = (name: string): MailTemplate => {
    const template = templates.get(name)
    if (!template) throw new Error('unknown mail template')
    return template
  }

  return {
    /** Whether `send-notification-email` may name it. */
    isForNotifications: (name: string): boolean => templates.get(name)?.jobType === notificationJobType,

    /** Every template, by name. */
    list: (): TemplateDescription[] => [...templates].sort(byName).map(([name, template]) => describeTemplate(name, template)),

    /** One template, as it looks; null when there is none of this name. */
    preview(name: string): TemplatePreview | null {
      const template = templates.get(name)
      if (!template) return null
      const description = describeTemplate(name, template)
      return { ...description, sample: { ...template.sample }, previews: toPreviews(template, description.languages) }
    },

    /** In: `data` that fits the template; `subject`, for templates that print the submitted one. Throws when it does not fit. */
    render(name: string, locale: Locale, data: Readonly<Record<string, unknown>>, subject = ''): RenderedMail {
      return renderTemplate(requireTemplate(name), locale, data, subject)
    },

    /** What keeps `send-notification-email` from sending `data` with the template; pointers start at `#/data`. */
    notificationProblems(name: string, data: Readonly<Record<string, unknown>>): FieldProblem[] {
      const template = templates.get(name)
      if (template?.jobType !== notificationJobType) return [{ pointer: '#/data/template', detail: 'is not a notification template' }]
      const problems = dataProblems(template.data, data)
      if (problems.length > 0) return problems
      try {
        for (const locale of locales) renderTemplate(template, locale, data, '')
        return []
      } catch {
        // Handlebars' text may quote the data.
        return [{ pointer: '#/data/templateData', detail: 'does not match the template' }]
      }
    },
  }
}

const cache = new WeakMap<MailSettings['email'], MailTemplates>()

/** The templates of one configuration, read once: submissions are checked against them. Throws as `openMailTemplates`. */
export const requireMailTemplates = (email: MailSettings['email']): MailTemplates => {
  const known = cache.get(email)
  if (known) return known
  const templates = openMailTemplates(email.templateDir)
  cache.set(email, templates)
  return templates
}

const renderTemplate = (template: MailTemplate, locale: Locale, data: Readonly<Record<string, unknown>>, subject: string): RenderedMail => {
  const compiled = template.byLocale[locale]
  const context = { ...toContext(template.data, data, locale), subject }
  const line = toLine(compiled.subject(context))
  return { subject: line, html: compiled.html({ ...context, subject: line }), text: compiled.text({ ...context, subject: line }) }
}

const byName = ([one]: [string, unknown], [other]: [string, unknown]): number => (one < other ? -1 : 1)

const toPreviews = (template: MailTemplate, languages: readonly Locale[]): TemplatePreview['previews'] => {
  try {
    return languages.map((locale) => ({ locale, ...renderTemplate(template, locale, template.sample, sampleSubject) }))
  } catch {
    // An operator's template that loops or reaches into values: nobody can know what it would be given.
    return []
  }
}

/** Every member is there, if only as null: strict templates throw for names they do not find. */
const toContext = (schema: TObject, data: Readonly<Record<string, unknown>>, locale: Locale): Record<string, unknown> => {
  const absent = Object.fromEntries(Object.keys(schema.properties).map((member) => [member, null]))
  return { ...absent, ...data, locale, footer: footers[locale] }
}

/** A subject is one line: whatever would break it becomes a space. */
const toLine = (text: string): string =>
  text
    .replace(/[\p{Cc}\s]+/gu, ' ')
    .trim()
    .slice(0, subjectLengthMax)

const dataProblems = (schema: TObject, data: unknown): FieldProblem[] => {
  const problems = new Map<string, FieldProblem>()
  for (const error of Value.Errors(schema, data)) {
    if (problems.size === problemsMax) break
    const { path } = error
    if (!problems.has(path)) problems.set(path, { pointer: toFragment(`/data/templateData${path}`), detail: toDetail(error) })
  }
  return [...problems.values()]
}

const toDetail = ({ type, message, schema }: ValueError): string => {
  if (type === ValueErrorType.ObjectRequiredProperty) return 'is missing'
  if (type === ValueErrorType.ObjectAdditionalProperties) return 'is not used by the template'
  if (type === ValueErrorType.StringPattern) {
    const words = toPatternDetail(schema['pattern'])
    if (words !== null) return words
  }
  return `does not match the template: ${message.charAt(0).toLowerCase()}${message.slice(1)}`
}

const toTemplates = (dir: string | undefined): Map<string, MailTemplate> => {
  const folder = dir === undefined ? new Map<string, FolderTemplate>() : readTemplateFolder(dir)
  const templates = new Map<string, MailTemplate>()
  for (const [name, builtIn] of Object.entries<BuiltInTemplate>(builtInTemplates))
    templates.set(name, toReplaced(builtIn, folder.get(name)))
  for (const [name, parts] of folder) if (!templates.has(name)) templates.set(name, toJoined(name, parts))
  return templates
}

/** One of Jobgate's own, with the parts that a folder has of it. */
const toReplaced = (builtIn: BuiltInTemplate, parts: FolderTemplate = {}): MailTemplate => {
  const compile = (locale: Locale, part: keyof MailSources): Render =>
    parts[locale]?.[part]?.render ?? compileTemplate(builtIn.sources[locale][part], part === 'html')
  const byLocale = mapLocales((locale) => ({
    subject: compile(locale, 'subject'),
    html: compile(locale, 'html'),
    text: compile(locale, 'text'),
  }))
  const { jobType, data, sample } = builtIn
  const template: MailTemplate = { jobType, data, sample, parts: toParts(parts, builtIn.sources), byLocale }
  for (const locale of locales) {
    for (const file of Object.values(parts[locale] ?? {})) tryOut(file, builtIn, locale)
  }
  return template
}

/** Renders a file once with all data and once with as few as are allowed: a name the template is not given stops the start. */
const tryOut = (file: FolderFile, { data, sample }: BuiltInTemplate, locale: Locale): void => {
  const scant = Object.fromEntries(Object.entries(sample).filter(([member]) => data.required?.includes(member)))
  for (const each of [sample, scant]) {
    inOneLine(file.label, () => file.render({ ...toContext(data, each, locale), subject: sampleSubject }))
  }
}

/** A template of the folder alone. */
const toJoined = (name: string, parts: FolderTemplate): MailTemplate => {
  const own = mapLocales((locale) => toComplete(name, locale, parts[locale]))
  // A folder has at least one file of every name it knows, so one of the two is there.
  const fallback = (own.en ?? own.zh) as Compiled
  const trees = Object.values(parts).flatMap((files) => Object.values(files))
  return {
    jobType: notificationJobType,
    data: toDataSchema(trees),
    sample: toSampleData(trees),
    parts: toParts(parts),
    byLocale: mapLocales((locale) => own[locale] ?? fallback),
  }
}

/** What a template is made of: files of the folder, and for the rest Jobgate's own sources. */
const toParts = (files: FolderTemplate, own?: BuiltInTemplate['sources']): TemplatePart[] =>
  locales.flatMap((locale) =>
    (['subject', 'text', 'html'] as const).flatMap((part) => {
      const file = files[locale]?.[part]
      if (file) return [toPart(locale, part, file.source, file.name)]
      return own ? [toPart(locale, part, own[locale][part])] : []
    }),
  )

const submittedSubject = compileTemplate('{{subject}}', false)

const toComplete = (name: string, locale: Locale, files: FolderTemplate[Locale]): Compiled | null => {
  if (!files) return null
  const { html, text, subject } = files
  if (!html || !text) throw new Error(`EMAIL_TEMPLATE_DIR: ${name}.${locale}.${html ? 'text' : 'html'}.hbs is missing`)
  return { html: html.render, text: text.render, subject: subject?.render ?? submittedSubject }
}

const mapLocales = <T>(make: (locale: Locale) => T): Record<Locale, T> => ({ en: make('en'), zh: make('zh') })
